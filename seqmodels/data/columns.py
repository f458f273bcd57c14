"""Finds the column of a table that has a given role, such as the column with the texts or the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seqmodels.data.table import Table
from seqmodels.errors import DataError, UsageError, excerpt

NUMBER_OR_DATE = re.compile(r"[-+$€£]?[\d.,:/\-]*\d[\d.,:/\-]*([ T][\d:.+Z]+)?%?")
DATA = "; the first row looks like data, so add a first row with column names"
SAMPLE = 1000  # number of cells that are read to find out whether a column contains texts


def _key(name: str) -> str:
    return "".join(name.split()).casefold()


def find_column(
    table: Table, wanted: str | None, names: Sequence[str], flag: str, *, alternatives: Sequence[str] = ()
) -> str:
    """Returns the name of the column that has a given role, such as the column with the texts.

    Case and blanks in column names are ignored. If two columns of the table differ only in case or blanks, a
    name must match exactly.

    Args:
        table: the table.
        wanted: column name that the user chose. Default: a column with a usual name is used.
        names: usual names for this role, best first. The first name that occurs in the table is used.
        flag: option with which the user can choose the column, such as ``--text``. It is an empty string if
            the app has no such option.
        alternatives: additional names. They are used only if no column has a name in ``names``. In this case,
            exactly one column must have one of the additional names.

    Raises:
        UsageError: the table does not have the column ``wanted``.
        DataError: no column has a usual name, several columns could have the role, or the file has no header.

    >>> _ = (folder / "reviews.csv").write_text("Text,label\\na dull film,0\\n")
    >>> from seqmodels.data.tables import read_table
    >>> find_column(read_table(folder / "reviews.csv"), None, ("text",), "--text")
    'Text'
    """
    if wanted is not None:
        found = _matching(table, wanted)
        if wanted in table.columns:
            return str(wanted)
        if len(found) == 1:
            return found[0]
        several = f"; {' and '.join(map(repr, found))} differ only in case or blanks" * bool(found)
        raise UsageError(
            f"{flag} {wanted} is not a column of {table.path}; found {listed(table)}{several}"
            f"{without_header(table)}"
        )
    for name in names:
        found = [name] if name in table.columns else _matching(table, name)
        if found:
            break
    else:
        known = {_key(name) for name in alternatives}
        found = [column for column in table.columns if _key(column) in known]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise DataError(
            f"{table.path} has {len(found)} columns that could be {names[0]!r}: "
            f"{' and '.join(map(repr, found))}; {_choice(flag, names[0])}"
        )
    if missing := without_header(table):
        raise DataError(f"{table.path}:{table.header_line}: the column names are missing{missing}")
    raise DataError(
        f"{table.path} has no column {' or '.join(map(repr, names[:1]))}; found {listed(table)}; "
        f"{_choice(flag, names[0])}"
    )


def _choice(flag: str, name: str) -> str:
    return f"choose the column with {flag} COLUMN" if flag else f"rename the column to {name!r}"


def has_column(table: Table, name: str | None) -> bool:
    """Returns True if a column has this name, ignoring case and blanks.

    >>> import pandas
    >>> from seqmodels.data.table import table_of
    >>> has_column(table_of(pandas.DataFrame({"Text": ["a film"]})), "text")
    True
    """
    return name is not None and bool(_matching(table, name))


def _matching(table: Table, name: str) -> list[str]:
    return [column for column in table.columns if _key(column) == _key(name)]


def listed(table: Table) -> str:
    """Returns the column names of a table as one text for an error message."""
    columns = [excerpt(column, 40) for column in table.columns]
    return ", ".join(columns[:20]) + f" and {len(columns) - 20} more" * (len(columns) > 20)


def without_header(table: Table) -> str:
    """Returns a hint for an error message if the first row looks like data instead of column names.

    Otherwise, the result is an empty string.
    """
    if not table.header:
        return ""
    if all(len(column.split()) > 2 for column in table.columns):
        return DATA
    for column in table.columns:
        is_number = re.fullmatch(r"[-+]?\d+([.,]\d+)?", column)
        is_text = len(column) > 60 or len(column.split()) > 6 or column[-1:] in ".!?。！？"
        head = table.frame[column].head(1000).astype(str).str.strip()
        if is_number or is_text or (head == column).any():
            return DATA
    return ""


def not_texts(table: Table, column: str) -> str:
    """Returns a sample cell if a column contains numbers or dates instead of texts.

    If the column contains texts, the result is an empty string.

    >>> import pandas
    >>> from seqmodels.data.table import table_of
    >>> not_texts(table_of(pandas.DataFrame({"close": ["1.5", "2.5"]})), "close")
    '1.5'
    """
    try:
        found = replace(table, frame=table.frame.head(SAMPLE)).texts(column)
    except DataError:
        return "a nested value"
    cells = [cell.strip() for cell in found if cell.strip()]
    others = [cell for cell in cells if NUMBER_OR_DATE.fullmatch(cell)]
    return others[0] if len(others) > 0.9 * len(cells) else ""


def note_columns(table: Table, used: dict[str, str], notes: list[str]) -> None:
    """Appends a note that lists the used and the unused columns of a table.

    No note is appended if the table has only the used columns, and each of them is named like its role.

    Args:
        table: the table.
        used: name of the used column for each role, such as ``{"text": "Review"}``.
        notes: list to which the note is appended. If it already has the same note about another file, no
            note is appended.
    """
    unused = [repr(column) for column in table.columns if column not in used.values()]
    if not unused and all(role == column for role, column in used.items()):
        return
    roles = " and ".join(f"the {role} is the column {column!r}" for role, column in used.items())
    named = ", ".join(unused[:10]) + f" and {len(unused) - 10} more" * (len(unused) > 10)
    verb = "column is" if len(unused) == 1 else "columns are"
    tail = roles + f"; {len(unused)} {verb} not used: {named}" * bool(unused)
    if not any(note.endswith(tail) for note in notes):
        notes.append(f"{table.path}: {tail}")
