"""Help, errors, docstrings, comments and pages follow the rules of plain English."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_english import ROOT, Text, findings, paths, texts_of

FILES = [path.relative_to(ROOT).as_posix() for path in paths()]


@pytest.mark.parametrize("file", FILES)
def test_texts_follow_the_patterns(file: str) -> None:
    found = [f"{text.line}: {finding}" for text in texts_of(ROOT / file) for finding in findings(text)]
    assert found == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("docstring", "What the model says."),
        ("docstring", "Of every epoch."),
        ("message", "--run {}: is no run; name another"),
        ("message", "--window: --model recurrent has no such thing"),
        ("help", "Stop after so many epochs; none for never."),
        ("help", "The words, of which the first is the best."),
        ("comment", "The file that the model hands out."),
        ("page", " ".join(["word"] * 26)),
    ],
)
def test_the_patterns_find_riddles(kind: str, text: str) -> None:
    assert list(findings(Text(Path("x.py"), 1, kind, text)))


def test_messages_help_comments_and_docstrings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        '"""A module."""\n'
        'x = option(1, "Number of layers.")  # a comment\n'
        'raise UsageError(f"--x {x} must be 1; " "use 1")\n'
    )
    assert [(text.kind, text.text) for text in texts_of(path)] == [
        ("docstring", "A module."),
        ("help", "Number of layers."),
        ("message", "--x {} must be 1; use 1"),
        ("comment", "a comment"),
    ]
