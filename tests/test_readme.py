"""The examples of README.md and docs/ work: commands are run, examples are executed, links exist."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from apps.sentiment.__main__ import main

ROOT = Path(__file__).parents[1]
README, USAGE, LIBRARY = (
    (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/usage.md", "docs/library.md")
)
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORDS = [("great", "good"), ("dull", "bad"), ("moving", "good"), ("weak", "bad")]
SMALL = ["--epochs", "1", "--units", "4", "--embedding-units", "4", "--buckets", "1", "--no-xla"]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README + USAGE + LIBRARY, re.DOTALL)


def commands():
    """Returns every command of the shell blocks as a list of arguments, without comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def verbs(prefix):
    """Returns the arguments of the ``python -m apps.sentiment`` commands that start with ``prefix``."""
    return [c[3:] for c in commands() if c[0] == prefix and c[1:3] == ["-m", "apps.sentiment"]]


def test_every_make_target_exists():
    shown = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README + USAGE, re.MULTILINE))
    names = {one or other for one, other in shown}
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert names == targets - {"help", "install"}


def test_the_plain_commands_are_part_of_the_demo():
    recipe = re.search(r"^demo:.*?\n(.*?)\n\n", MAKEFILE, re.DOTALL | re.MULTILINE).group(1)
    recipe = recipe.replace("$(BIN)", ".venv/bin").replace("$(DEMO)", "saved_models/demo")
    shown = verbs(".venv/bin/python")
    assert {arguments[0] for arguments in shown} >= {"train", "evaluate", "predict"}
    for arguments in shown:
        words = ["python", "-m", "apps.sentiment", *arguments]
        texts = [word for word in words if " " in word]
        assert shlex.join(w for w in words if w not in texts) in recipe
        assert all(text in recipe for text in texts)


@pytest.mark.slow
def test_the_commands_for_own_data_run(tmp_path, monkeypatch, capsys):
    rows = [f"the plot was {word} {n},{label}" for n, (word, label) in enumerate(12 * WORDS)]
    for name in ("reviews.csv", "new.csv"):
        (tmp_path / name).write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "lines.txt").write_text("the plot was great\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def run(arguments):
        if "<" in arguments:
            place = arguments.index("<")
            monkeypatch.setattr(sys, "stdin", open(arguments[place + 1], encoding="utf-8"))  # noqa: SIM115
            arguments = arguments[:place]
        main(arguments + (SMALL if arguments[0] == "train" else []), standalone_mode=False)
        return capsys.readouterr().out

    run(["train", "--data", "reviews.csv", "--run", "saved_models/demo"])
    shown = verbs("python")
    assert {arguments[0] for arguments in shown} >= {"train", "evaluate", "predict", "info"}
    for arguments in shown:
        assert run(arguments) or arguments[0] == "train" or "--to" in arguments, arguments
    assert len(pandas.read_parquet("labels.parquet")) == len(rows)


def test_the_python_example_runs(tmp_path, monkeypatch):
    (example,) = (block for block in blocks("python") if "load_run" in block)
    rows = [(f"the plot was {word} {n}", label) for n in range(12) for word, label in WORDS]
    names = {"frame": pandas.DataFrame(rows, columns=["text", "label"])}
    monkeypatch.chdir(tmp_path)
    small = 'preset="quick", epochs=1, length=16, units=4, embedding_units=4, buckets=1, xla=False'
    exec(example.replace('preset="quick"', small), names)
    assert names["run"].predict("the plot was great")[0]["label"] in ("good", "bad")
    assert (tmp_path / "saved_models/frame/export/tflite/model_dynamic.tflite").exists()


def test_the_library_example_runs():
    (example,) = (block for block in blocks("python") if "seqmodels.cells" in block)
    names = {"inputs": np.zeros((2, 5, 3), np.float32), "lengths": np.array([5, 2], np.int32)}
    exec(example, names)
    assert names["vector"].shape == (2, 128)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_linked_files_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
