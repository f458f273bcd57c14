"""The results of an experiment, and functions that convert the results to tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Findings:
    """The results of one experiment.

    Attributes:
        found: summary of the results in one line.
        rows: table of the results, with one dictionary per row. All rows have the same keys.
        draw: function that receives a path, writes the figure there as a PNG file, and returns the path.
        details: additional entries of the JSON document that stores the results. NaN and infinity are
            written as null.
    """

    found: str
    rows: Sequence[Mapping[str, Any]]
    draw: Callable[[Path], Path]
    details: Mapping[str, Any] = field(default_factory=dict)


def table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Returns a table for a terminal. Each row is a dictionary from column names to values."""
    result = Table(*rows[0], title=title)
    for row in rows:
        result.add_row(*map(readable, row.values()))
    return result


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a Markdown table. Each row is a dictionary from column names to values."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([readable(v) for v in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def readable(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
