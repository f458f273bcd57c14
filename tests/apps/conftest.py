"""Fixtures: small reviews, a small text, one trained run, and the command line in this process."""

import csv
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from apps.sentiment.__main__ import main

ADJECTIVES = {"bad": ("dull", "awful", "boring", "weak"), "good": ("great", "funny", "moving", "clever")}
NOUNS = ("plot", "cast", "music", "ending", "camera", "script")
SIZES = {"train": 48, "valid": 12, "test": 12}
TINY = ["--units=4", "--embedding-units=4", "--batch-size=8", "--minimum-count=1"]
TINY += ["--unit=word", "--no-xla", "--no-bidirectional", "--buckets=1", "--epochs=2", "--learning-rate=0.02"]
RECURRENT = ["--ngrams=0"]  # without the linear part, which takes seconds
SUBJECTS, VERBS, OBJECTS = (
    ("the cat", "a dog", "one bird"),
    ("sees", "likes"),
    ("fish", "<unk> food", "a tree"),
)


def make_reviews(folder, classes=("bad", "good")):
    """Makes a folder with ``train.csv``, ``valid.csv`` and ``test.csv``; all texts are different."""
    folder.mkdir()
    count = 0
    for split, size in SIZES.items():
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            for index in range(size):
                label = classes[index % len(classes)]
                words = ADJECTIVES.get(label, ("plain", "usual"))
                text = (
                    f"The {NOUNS[index % 5]} was {words[index // len(classes) % len(words)]}"
                    + " really" * (index % 3)
                )
                writer.writerow((f"{text}, number {count}", label))
                count += 1
    return folder


@pytest.fixture(scope="session")
def write_reviews():
    return make_reviews


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """A folder of reviews that no test changes."""
    return make_reviews(tmp_path_factory.mktemp("data") / "reviews")


def sentences(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(part) for part in (SUBJECTS, VERBS, OBJECTS)) for _ in range(count)]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder of running text that no test changes."""
    folder = tmp_path_factory.mktemp("data") / "corpus"
    folder.mkdir()
    for seed, (split, count) in enumerate({"train": 120, "valid": 20, "test": 25}.items()):
        (folder / f"{split}.txt").write_text("\n".join(sentences(count, seed)) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny():
    """Options of a training that takes a second. The model has no linear part."""
    return [*TINY, *RECURRENT]


@pytest.fixture(scope="session")
def invoke():
    """The command line in this process: a function of arguments that returns a click ``Result``."""
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def trained(tmp_path_factory, reviews, invoke):
    """The folder of a finished run. Tests may run ``evaluate`` on it and must not change it in other ways."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    result = invoke("train", "--data", reviews, "--run", run, *TINY)
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="session")
def one_line():
    """Returns a function that checks for a one-line error with an exit status, and returns this line."""

    def check(result, status):
        assert result.exit_code == status, result.output
        assert result.stderr.startswith("error: "), result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stdout == ""
        return result.stderr

    return check


@pytest.fixture(scope="session")
def fresh_python():
    """Returns a function that runs a program with arguments in a new Python process.

    The function returns the completed process and its CPU seconds, which do not depend on other processes.
    """

    def run(program, *arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return run


@pytest.fixture(scope="session")
def read_json():
    return lambda path: json.loads(Path(path).read_text(encoding="utf-8"))
