"""The embedded text: English sentences, split without repetition, and source code."""

import hashlib
import os
import re
import subprocess
import sys
import sysconfig

import pytest

from apps.language_modeling import prose
from seqmodels.errors import DataError


@pytest.fixture(scope="module")
def splits():
    return {"prose": prose.prose(), "code": prose.code()}


@pytest.mark.parametrize("name", ["prose", "code"])
def test_split_sizes(splits, name):
    sizes = {split: sum(len(line) + 1 for line in lines) for split, lines in splits[name].items()}
    assert list(sizes) == ["train", "valid", "test"]
    total = sum(sizes.values())
    assert total > {"prose": 150_000, "code": 1_000_000}[name]
    assert 0.7 < sizes["train"] / total < 0.9
    assert min(sizes["valid"], sizes["test"]) > 0.04 * total


def test_sentences_are_unique(splits):
    lines = [line for split in splits["prose"].values() for line in split]
    assert len(set(lines)) == len(lines) > 1000


def test_no_module_is_in_two_splits(splits):
    """Modules share licences and short lines, but almost no runs of ten lines."""

    def runs(lines):
        return {tuple(lines[at : at + 10]) for at in range(len(lines) - 10)}

    train, valid, test = (runs(lines) for lines in splits["code"].values())
    shared = (len(train & valid) + len(train & test) + len(valid & test)) / len(train)
    assert shared < 0.01


def test_sentences_are_plain_english(splits):
    lines = [line for split in splits["prose"].values() for line in split]
    for line in lines:
        assert re.fullmatch(r"\(?[A-Z].*[.!?][)\"”’]?", line), line
        assert not re.search(r"::=|\s\s|(^| )\*\w+\*( |$)|\[\d+\]$|^(Changed|New|Added) in version", line), (
            line
        )
    text = " ".join(lines).lower().split()
    for word, share in (("the", 0.05), ("of", 0.015), ("is", 0.015), ("and", 0.01)):
        assert text.count(word) > share * len(text)
    assert 10 < len(text) / len(lines) < 30


def test_code_is_source_code(splits):
    for lines in splits["code"].values():
        assert sum(line.startswith(("def ", "class ", "import ", "    def ")) for line in lines) > 100
        assert not any("\n" in line or "\r" in line for line in lines)


def test_markup_is_removed():
    topic = """Title
*****

The *first* sentence has **strong** words [3], e.g. these here.  The signs in
"x * y" and in "y * z" stay what they are.

   grammar ::= "a" | "b"

Note:

  An indented note counts as non-
  negative, too.

Term of a list
  (Its meaning is below it.)  And it still goes on.

* An item of a list is a sentence.

* So is the next one of them, really.

Changed in version 3.5: Things did change in a big way.

   >>> print("This is code.")

Section
=======

+-----+
| In a table there is no text. |
+-----+

no capital begins this line of text.
"""
    assert list(prose._sentences(topic)) == [
        "The first sentence has strong words, e.g. these here.",
        'The signs in "x * y" and in "y * z" stay what they are.',
        "An indented note counts as non-negative, too.",
        "(Its meaning is below it.)",
        "And it still goes on.",
        "An item of a list is a sentence.",
        "So is the next one of them, really.",
        "Things did change in a big way.",
    ]


def test_texts_are_equal_in_every_process(splits):
    program = (
        "import hashlib; from apps.language_modeling import prose; "
        "print(hashlib.sha256(repr([prose.prose(), prose.code()]).encode()).hexdigest())"
    )
    expected = hashlib.sha256(repr([splits["prose"], splits["code"]]).encode()).hexdigest()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed == f"{expected}\n"


def test_python_without_source_code_raises(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(
        DataError, match="has the source code of 0 modules, but the standard library has many more"
    ):
        prose.code()


def test_version_is_the_running_python():
    assert ".".join(map(str, sys.version_info[:2])) in prose.version()
