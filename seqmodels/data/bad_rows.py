"""Counts the malformed rows of a file, and reports all of them in one message."""

from __future__ import annotations

from bisect import insort

from seqmodels.errors import DataError

NAMED = 5
ON_BAD_ROWS = ("error", "skip")


class BadRows:
    """Counts malformed rows and keeps the first five for a message.

    Args:
        source: name of the file.

    >>> bad = BadRows("reviews.csv")
    >>> bad.add(3, "reviews.csv:3", "the label is empty")
    >>> notes = []
    >>> bad.settle("skip", 10, notes)
    >>> notes
    ['1 of 10 rows of reviews.csv is skipped: reviews.csv:3: the label is empty']
    """

    def __init__(self, source: object):
        self.source = str(source)
        self.count = 0
        self.blank = 0  # rows without values, such as ",,,", which spreadsheets append
        self.first: list[tuple[int, str, str]] = []

    def add(self, line: int, where: str, reason: str) -> None:
        """Counts a malformed row.

        Args:
            line: line on which the row starts. The message lists the rows in the order of their lines.
            where: file and line of the row, such as ``reviews.csv:3``. The message contains this text.
            reason: description of the fault, such as ``the label is empty``.
        """
        self.count += 1
        if len(self.first) < NAMED or line < self.first[-1][0]:
            insort(self.first, (line, where, reason))
            del self.first[NAMED:]

    def listed(self) -> str:
        """Returns one text that lists the first bad rows and gives the number of the remaining bad rows."""
        text = "; ".join(f"{where}: {reason}" for _, where, reason in self.first)
        return text + f"; and {self.count - len(self.first)} more" * (self.count > len(self.first))

    def settle(self, on_bad_rows: str, rows: int, notes: list[str]) -> None:
        """If there are bad rows, raises an error or appends a note. Call this method after the last row.

        Args:
            on_bad_rows: ``error`` raises an error, and ``skip`` appends a note.
            rows: number of all rows, including the bad rows.
            notes: list to which the note is appended.

        Raises:
            DataError: there are bad rows and ``on_bad_rows`` is ``error``, or all rows are bad.
        """
        if not self.count:
            return
        listed = self.listed()
        if on_bad_rows == "skip" and self.count < rows:
            verb = "is" if self.count == 1 else "are"
            notes.append(f"{self.count} of {rows} rows of {self.source} {verb} skipped: {listed}")
            return
        if on_bad_rows == "skip":
            raise DataError(f"{listed}; all {rows} rows of {self.source} are bad, so no row can be used")
        total = f"{self.count} bad rows in {self.source}; " if self.count > 1 else ""
        raise DataError(f"{listed}; {total}correct the file, or use --on-bad-rows skip")
