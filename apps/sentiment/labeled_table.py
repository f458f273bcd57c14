"""Reads tables in which each row contains a text and its label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.sentiment.labels import label_text
from apps.sentiment.options import SINGLE_LABEL
from seqmodels.data.columns import not_texts, note_columns
from seqmodels.data.tables import BadRows, Table, find_column, has_column, read_table
from seqmodels.errors import DataError, UsageError, excerpt

TEXT_NAMES = (
    *("review", "review_text", "reviewText", "sentence", "content", "message", "comment", "comment_text"),
    *("tweet", "tweet_text", "sms", "post", "body", "document", "doc", "utterance", "description", "news"),
    *("article", "headline", "question", "feedback", "input", "texts", "reviews", "sentences"),
)
LABEL_NAMES = (
    *("class", "category", "sentiment", "target", "labels", "label_text", "class_name", "polarity", "rating"),
    *("stars", "score", "overall", "emotion", "intent", "topic", "spam", "is_spam", "toxic", "type", "tag"),
)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """Options that determine how a file is read.

    Attributes:
        text, label: names of the text column and the label column. Default: ``text`` and ``label``, or other
            common names.
        encoding: encoding of text files. Default: UTF-8.
        on_bad_rows: ``"error"`` or ``"skip"``, see ``--on-bad-rows``.
        output: kind of the labels, see ``--output``. With ``"auto"``, the training labels determine it.
        stored: names of attributes, such as ``text``. Their values come from an earlier training, not from
            the user. Such a value is ignored if it does not fit the file. For example, the file may lack the
            column.
    """

    text: str | None = None
    label: str | None = None
    encoding: str | None = None
    on_bad_rows: str = "error"
    output: str = "auto"
    stored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LabeledTexts:
    """One split: ``texts[row]`` has the label ``labels[row]``.

    If ``source`` is a file, ``lines[row]`` is the line of this file on which the row starts. Otherwise,
    ``lines[row]`` is the number of the row, from 1. If each text is a file in the folder of its class,
    ``files[row]`` is the path of this file.
    """

    texts: list[str]
    labels: list[str]
    source: str
    lines: list[int]
    files: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, row: int) -> str:
        """Returns the location of ``row`` for an error message.

        The location is the path of the text file, or source and line, such as ``train.csv:12``.
        """
        return self.files[row] if self.files else f"{self.source}:{self.lines[row]}"

    def take(self, rows: Sequence[int]) -> LabeledTexts:
        """Returns the rows with the given numbers, in this order."""
        return LabeledTexts(
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            self.source,
            [self.lines[row] for row in rows],
            [self.files[row] for row in rows] if self.files else None,
        )


def collect(
    source: str,
    rows: Iterable[tuple[int, str, str]],
    bad: BadRows,
    reading: Reading,
    notes: list[str],
    files: Sequence[str] | None = None,
) -> LabeledTexts:
    """Collects rows into one split.

    A row is bad if its text or label is empty, or if its label has a line break.

    Args:
        source: name of the file or data set, for error messages.
        rows: the rows, each ``(line number, text, label)``.
        bad: bad rows that the caller has found. The function adds the bad rows that it finds.
        reading: options that determine how the file is read. ``on_bad_rows`` determines whether bad rows are
            errors or are skipped.
        notes: list to which a note on skipped rows is appended.
        files: path of the text file of each row. None if the rows are not separate files.

    Raises:
        DataError: there are bad rows and ``reading.on_bad_rows`` is ``"error"``, or no good row is left.
    """
    split = LabeledTexts([], [], source, [], None if files is None else [])
    count = bad.count
    for index, (line, text, label) in enumerate(rows):
        count += 1
        label = label.strip()
        reason = ""
        if not text.strip():
            reason = "the text is empty; fill it in or remove the row"
        elif not label:
            reason = "the label is empty; fill it in or remove the row"
        elif len(label.splitlines()) > 1:
            reason = f"the label {excerpt(label)} has a line break; write it on one line"
        if reason:
            bad.add(line, files[index] if files else f"{source}:{line}", reason)
            continue
        split.texts.append(text)
        split.labels.append(label)
        split.lines.append(line)
        if files is not None and split.files is not None:
            split.files.append(files[index])
    bad.settle(reading.on_bad_rows, count, notes)
    if not split.texts:
        raise DataError(f"{source} has no rows; expected rows with a text and a label")
    return split


def read_labeled_table(path: Path, reading: Reading, notes: list[str]) -> LabeledTexts:
    """Reads the texts and the labels of a table.

    Raises:
        UsageError: a chosen column does not exist.
        DataError: the table cannot be read; the text column or the label column is missing; or there are bad
            rows.
    """
    bad = BadRows(path)
    table = read_table(path, encoding=reading.encoding, bad=bad, prefer_utf8="encoding" in reading.stored)
    notes += table.notes
    text = text_column(table, reading)
    label = _column(table, reading, "label", LABEL_NAMES)
    if text == label:
        raise UsageError(
            f"the column {label!r} of {path} cannot contain both the texts and the labels; choose two "
            "different columns with --text and --label"
        )
    note_columns(table, {"text": text, "label": label}, notes)
    several = reading.output != SINGLE_LABEL
    rows = []
    for line, value, cell in zip(table.lines.tolist(), table.texts(text), table.frame[label].tolist()):
        try:
            rows.append((line, value, label_text(cell, several)))
        except ValueError as error:
            bad.add(line, f"{path}:{line}", f"the label is invalid: {error}")
    return collect(str(path), rows, bad, reading, notes)


def text_column(table: Table, reading: Reading) -> str:
    """Returns the name of the column that contains the texts.

    Raises:
        UsageError: the chosen column does not exist.
        DataError: no column has a common name such as ``text``, or the column contains numbers or dates.
    """
    text = _column(table, reading, "text", TEXT_NAMES)
    if (reading.text is None or "text" in reading.stored) and (found := not_texts(table, text)):
        raise DataError(
            f"the column {text!r} of {table.path} contains values such as {excerpt(found)} instead of "
            "texts; use "
            "--text to choose a column that contains texts"
        )
    return text


def _column(table: Table, reading: Reading, name: str, others: Sequence[str]) -> str:
    wanted = getattr(reading, name)
    if name in reading.stored and not has_column(table, wanted):
        wanted = None
    return find_column(table, wanted, (name,), f"--{name}", alternatives=others)


def without_breaks(text: str) -> str:
    """Replaces HTML breaks by line breaks.

    >>> without_breaks("dull<br />film")
    'dull\\nfilm'
    """
    return BREAK.sub("\n", text) if "<" in text else text
