"""Tests of ``predict --data`` and ``predict --to``: file formats, complete output files, and memory use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from apps import inputs, outputs
from apps.outputs import write_records
from seqmodels.errors import UserError

ROOT = Path(__file__).parents[2]
RECORDS = [
    {"text": f"t{i}", "p": {"a": i / 4, "b": None}, "words": ["x", "y"], "flag": True} for i in range(5)
]
ROWS = [{"text": f"t{i}", "p.a": i / 4, "p.b": None, "words": '["x", "y"]', "flag": True} for i in range(5)]


@pytest.mark.parametrize("batch", [2, 100])
def test_a_file_of_every_format_contains_all_records(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "BATCH", batch)
    paths = [tmp_path / f"a.{suffix}" for suffix in ("csv", "jsonl", "json", "parquet")]
    for path in paths:
        assert write_records(path, iter(RECORDS)) == 5
    assert [json.loads(line) for line in paths[1].read_text().splitlines()] == RECORDS
    assert json.loads(paths[2].read_text()) == RECORDS
    frames = [pandas.read_csv(paths[0]), pandas.read_parquet(paths[3])]
    for frame in frames:
        assert frame.drop(columns="p.b").to_dict("records") == [
            {name: value for name, value in row.items() if name != "p.b"} for row in ROWS
        ]
        assert frame["p.b"].isna().all()
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_a_failure_does_not_change_the_old_file(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_text("old")

    def fails():
        yield RECORDS[0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_records(path, fails())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]
    assert write_records(path, iter([])) == 0
    assert path.read_bytes() != b"old"


def test_nan_is_null_and_a_missing_folder_is_an_error(tmp_path):
    write_records(tmp_path / "a.jsonl", [{"a": float("nan")}])
    write_records(tmp_path / "a.csv", [{"a": float("inf"), "b": "x"}])
    assert (tmp_path / "a.jsonl").read_text() == '{"a": null}\n'
    assert (tmp_path / "a.csv").read_text() == "a,b\n,x\n"
    with pytest.raises(UserError, match="cannot be written"):
        write_records(tmp_path / "no" / "a.csv", iter(RECORDS))


@pytest.fixture
def table(tmp_path):
    texts = [f"the plot was {'really ' * (i % 3)}{'great' if i % 2 else 'dull'}, {i}" for i in range(10)]
    pandas.DataFrame({"id": range(10), " Text": texts}).to_csv(tmp_path / "texts.csv", index=False)
    return tmp_path / "texts.csv", texts


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predict_reads_a_table_and_writes_the_probabilities_of_all_classes(
    suffix, trained, table, invoke, tmp_path, monkeypatch
):
    monkeypatch.setattr(inputs, "LINES_AT_ONCE", 3)
    data, texts = table
    to = tmp_path / f"out.{suffix}"
    result = invoke("predict", "--run", trained, "--data", data, "--to", to)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert f"{to}: 10 predictions" in result.stderr
    shown = [
        json.loads(line) for line in invoke("predict", "--run", trained, "--json", *texts).stdout.splitlines()
    ]
    if suffix == "jsonl":
        assert [json.loads(line) for line in to.read_text().splitlines()] == shown
        return
    frame = pandas.read_csv(to) if suffix == "csv" else pandas.read_parquet(to)
    assert frame["text"].tolist() == texts
    assert frame["label"].tolist() == [record["label"] for record in shown]
    for name in ("bad", "good"):
        assert frame[f"probabilities.{name}"].tolist() == pytest.approx(
            [record["probabilities"][name] for record in shown]
        )


def test_predict_reads_a_text_file_line_by_line(trained, invoke, tmp_path):
    (tmp_path / "a.txt").write_text("great cast\n\ndull\tplot\n")
    result = invoke("predict", "--run", trained, "--data", tmp_path / "a.txt", "--json")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == [
        "great cast",
        "",
        "dull\tplot",
    ]


def test_a_column_can_be_chosen(trained, table, invoke):
    result = invoke("predict", "--run", trained, "--data", table[0], "--text", "id", "--json")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == list("0123456789")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "a.txt"], "--to a.txt must be a file name that ends in .csv, .jsonl, .json or .parquet"),
        (["--to", "no/a.csv"], "--to no/a.csv is in a folder that does not exist"),
        (["--data", "no.csv"], "--data no.csv does not exist"),
        (["--data", "."], "--data . is a folder"),
        (["--data", "embedded"], "--data embedded is not a file"),
        (["--data", "{data}", "a text"], "the inputs are given twice, as arguments and in --data"),
        (["--data", "{data}", "--text", "no"], "--text no is not a column"),
        (["--text", "no"], "--text no needs --data"),
    ],
)
def test_wrong_files_are_usage_errors(arguments, message, trained, table, invoke, one_line):
    given = [argument.format(data=table[0]) for argument in arguments]
    assert message in one_line(invoke("predict", "--run", trained, *given), 2)


def test_a_bad_row_writes_no_file(trained, invoke, one_line, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nfine,good\nbad\n")
    arguments = ["--data", tmp_path / "a.csv", "--to", tmp_path / "out.csv"]
    assert "a.csv:3" in one_line(invoke("predict", "--run", trained, *arguments), 1)
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_length_of_the_file(suffix, trained, tmp_path):
    peaks = {}
    for count in (20_000, 200_000):
        data, to = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
        texts = [f"the plot was {'really ' * (number % 9)}great {number}" for number in range(count)]
        frame = pandas.DataFrame({"text": texts})
        frame.to_csv(data, index=False) if suffix == "csv" else frame.to_parquet(data, row_group_size=10_000)
        command = [
            sys.executable,
            "-m",
            "apps.sentiment",
            "predict",
            "--run",
            trained,
            "--data",
            data,
            "--to",
            to,
        ]
        process = subprocess.Popen(list(map(str, command)), cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        peaks[count] = usage.ru_maxrss * 1024
    assert len(pandas.read_csv(to) if suffix == "csv" else pandas.read_parquet(to)) == 200_000
    assert peaks[200_000] - peaks[20_000] < 100e6
