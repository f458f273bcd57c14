"""Writes the tables of scores into the pages.

A table stands between the lines ``<!-- scores: NAME -->`` and ``<!-- end -->``. NAME is a name of
:data:`benchmarks.scores.catalog.TABLES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from apps.run import write_text
from benchmarks.scores.catalog import TABLES, Table
from benchmarks.scores.digest import ROOT
from benchmarks.scores.experiment import Experiment
from benchmarks.scores.layouts import LAYOUTS, NOTHING, link_from
from benchmarks.scores.records import Record
from benchmarks.scores.summaries import MARK, summarize
from seqmodels.errors import DataError

PATTERNS = ("README.md", "docs/*.md", "benchmarks/*.md")
MARKED = re.compile(r"(<!-- scores: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages(root: Path = ROOT) -> Iterator[Path]:
    """Yields the pages that can contain tables."""
    for pattern in PATTERNS:
        yield from sorted(root.glob(pattern))


def generate(table: Table, records: Mapping[str, list[Record]], **options: Callable) -> list[str]:
    """Returns the lines of a table. Experiments without a record are counted below the table."""
    found = summarize(table.experiments, dict(records), **options)
    lines = LAYOUTS[table.layout](found) if found else [NOTHING]
    absent = [each.name for each in table.experiments if each.name not in records]
    if found and absent:
        lines = [*lines, "", _without(absent)]
    return lines


def _without(names: list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names[:3]) + (" and others" if len(names) > 3 else "")
    return f"Without a record: {len(names)} experiment{'s' * (len(names) > 1)} ({listed})."


def filled(page: Path, records: Mapping[str, list[Record]], root: Path = ROOT, **options: Callable) -> str:
    """Returns the text of a page with the tables that the records give.

    Raises:
        DataError: a marker has an unknown name, or a marker has no end.
    """
    text, name = page.read_text(encoding="utf-8"), page.relative_to(root)

    def replaced(found: re.Match[str]) -> str:
        start, table, _, end = found.groups()
        if table not in TABLES:
            raise DataError(
                f"{name} has a marker for the table {table!r}; expected one of {', '.join(TABLES)}"
            )
        lines = generate(TABLES[table], records, **options)
        return "\n".join([start.rstrip("\n"), *link_from(PurePosixPath(name.as_posix()), lines), end])

    if text.count("<!-- scores: ") != len(MARKED.findall(text)):
        raise DataError(f"{name} has a marker without `<!-- end -->`; add the end of the table")
    return MARKED.sub(replaced, text)


def write(records: Mapping[str, list[Record]], root: Path = ROOT) -> list[Path]:
    """Writes the tables into the pages. Returns the pages that have changed."""
    changed = []
    for page in pages(root):
        text = filled(page, records, root)
        if text != page.read_text(encoding="utf-8"):
            write_text(page, text)
            changed.append(page)
    return changed


def outdated(records: Mapping[str, list[Record]], root: Path = ROOT) -> list[str]:
    """Returns a message for each page whose tables differ from the records.

    The marks "of an earlier version" do not count, because each change of the code changes them.
    """

    def never(record: Record, experiment: Experiment) -> bool:
        return False

    found = []
    for page in pages(root):
        text = page.read_text(encoding="utf-8").replace(MARK, "")
        wanted = filled(page, records, root, is_current=never).replace(MARK, "")
        for line, (own, other) in enumerate(_pairs(text, wanted), 1):
            if own != other:
                where = f"{page.relative_to(root)}:{line}"
                found.append(f"{where}: the table differs from the records; run benchmarks.scores --tables")
                break
    return found


def _pairs(text: str, wanted: str) -> Iterator[tuple[str | None, str | None]]:
    lines, others = text.split("\n"), wanted.split("\n")
    for place in range(max(len(lines), len(others))):
        yield (
            lines[place] if place < len(lines) else None,
            others[place] if place < len(others) else None,
        )
