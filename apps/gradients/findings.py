"""What an experiment hands back, and how it is shown and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        found: one line in words.
        rows: the table, a row for each thing measured, JSON-ready; all have the same keys.
        draw: writes the figure to a PNG file.
        details: what the JSON document has beside that, JSON-ready; NaN and infinity are written as null.
    """

    found: str
    rows: Sequence[Mapping[str, Any]]
    draw: Callable[[Path], Path]
    details: Mapping[str, Any] = field(default_factory=dict)


def table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """The rows for a terminal."""
    result = Table(*rows[0], title=title)
    for row in rows:
        result.add_row(*map(readable, row.values()))
    return result


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table of Markdown."""
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
