"""The data sets of the experiments, and the folders in which the command finds them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scores.experiment import Source

VARIABLE = "SEQMODELS_BENCHMARK_DATA"
"""Environment variable with the data folder."""

TABLE = "columns text and label"

REVIEWS = Source("embedded", "simulated reviews", "included in the package")
GRAMMAR = Source("embedded", "simulated English-French pairs", "included in the package")
PROSE = Source("embedded", "Python reference", "documentation that is part of every Python installation")
CODE = Source("embedded:code", "Python code", "source code of the standard library")
SEASONAL = Source("embedded:seasonal", "simulated monthly series", "included in the package")

SST2 = Source(
    "sst2",
    "SST-2",
    f"GLUE; train.csv and valid.csv with the {TABLE}; the test split is the GLUE development set (valid.csv)",
    ("sst2/train.csv", "sst2/valid.csv"),
    "labeled",
)
IMDB = Source(
    "imdb",
    "IMDB",
    f"Maas et al. 2011; train.csv.gz and test.csv.gz with the {TABLE}",
    ("imdb/train.csv.gz", "imdb/test.csv.gz"),
    "labeled",
)
CLINC = Source(
    "clinc150",
    "CLINC150",
    f"Larson et al. 2019, imbalanced version; train.csv, valid.csv and test.csv with the {TABLE}",
    ("clinc150/train.csv", "clinc150/valid.csv", "clinc150/test.csv"),
    "labeled",
)
WAIMAI = Source(
    "waimai",
    "food deliveries (Chinese)",
    f"waimai_10k of ChineseNlpCorpus; train.csv and test.csv with the {TABLE}",
    ("waimai/train.csv", "waimai/test.csv"),
    "labeled",
)
PTB = Source(
    "ptb",
    "Penn Treebank",
    "Mikolov's preparation; train.txt, valid.txt and test.txt with one sentence per line",
    ("ptb/train.txt", "ptb/valid.txt", "ptb/test.txt"),
)
WIKI = Source(
    "wiki/sentences.txt",
    "Wikipedia sentences",
    "14,750 sentences in lower case without punctuation; sentences.txt",
    ("wiki/sentences.txt",),
)


def _pairs(name: str, title: str, obtain: str, *languages: str) -> Source:
    files = tuple(f"{name}/{split}.{each}" for split in ("train", "valid", "test") for each in languages)
    return Source(name, title, obtain, files, "pairs")


MULTI30K = _pairs(
    "multi30k",
    "Multi30k",
    "task 1, raw text; train, valid and test in .de and .en; the test split is flickr 2016, 1,000 sentences",
    "de",
    "en",
)
ENJA = _pairs(
    "enja",
    "Tanaka corpus",
    "small_parallel_enja; train, valid and test in .en and .ja; the Japanese text has no spaces",
    "en",
    "ja",
)
STOCKS = {
    name: Source(
        f"stocks/{name}.csv",
        title,
        "daily prices with the columns date, open, high, low, close and volume; the test split is the last "
        "20 % of days",
        (f"stocks/{name}.csv",),
    )
    for name, title in (
        ("sp500", "S&P 500 2000-2020"),
        ("aapl", "Apple 1984-2017"),
        ("ibm", "IBM 1962-2017"),
        ("ko", "Coca-Cola 1970-2017"),
    )
}
M4 = Source(
    "series/m4_hourly.csv.gz",
    "M4 Hourly",
    "M4 competition; 414 series in one long file; the test split is the last 48 hours of each series",
    ("series/m4_hourly.csv.gz",),
)
ETT = Source(
    "series/ETTh1.csv",
    "ETTh1",
    "electricity transformers, hourly; the validation split and the test split have 2,880 hours each",
    ("series/ETTh1.csv",),
)


def missing(source: Source, folder: Path | None) -> list[str]:
    """Returns the files of a data set that the data folder does not have.

    >>> missing(SST2, None)
    ['sst2/train.csv', 'sst2/valid.csv']
    """
    return [name for name in source.files if folder is None or not (folder / name).is_file()]


def data_folder(given: Path | None) -> Path | None:
    """Returns the data folder: the folder in ``--data-dir``, or in the environment variable."""
    if given is None and (named := os.environ.get(VARIABLE)):
        given = Path(named)
    return None if given is None else given.resolve()


def described(files: Sequence[str], folder: Path | None) -> str:
    """Returns a clause that names the first missing file of a data set and the data folder."""
    where = f"no data folder is set by --data-dir or {VARIABLE}" if folder is None else f"not in {folder}"
    return f"{files[0]}: {where}"
