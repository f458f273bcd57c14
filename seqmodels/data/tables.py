"""Tables of every format: ``.csv .tsv .jsonl .json .parquet .arrow .feather .xlsx``, also compressed.

A table that cannot be read gives one error that names the problem: a wrong encoding, an Excel file named
``.csv``, an HTML page, a file without a header, or malformed rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.data.bad_rows import BadRows
from seqmodels.data.compression import COMPRESSIONS, compression, plain_name, read_bytes
from seqmodels.data.delimited import DELIMITERS, NAMES, open_lines, recognise, split_rows
from seqmodels.data.encodings import check_encoding, check_text
from seqmodels.data.kinds import check_kind, check_text_format
from seqmodels.data.records import read_json, read_json_lines
from seqmodels.data.typed import read_arrow, read_excel, read_parquet
from seqmodels.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas

FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".arrow", ".feather", ".xlsx")
UNNAMED = re.compile(r"(unnamed: ?\d+.*|__index_level_\d+__)?", re.IGNORECASE)
SAMPLE_LINES, SAMPLE_CHARACTERS = 1000, 1 << 20  # start of a file by which its delimiter is recognised
CHUNK = 50_000  # rows of Python strings that are in memory at once


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        path: path of the file.
        frame: one column per named column. A cell of .csv and .tsv is the text in the file, or an empty
            string. A cell of another format is the value that the file stores.
        lines: line on which each row starts ``(rows,)``, or the number of the row, from 1, in a format
            without lines.
        notes: one sentence per decision of the reader, such as a column that is left out.
        header: cells of the header as they are in the file.
        header_line: line of the header, or 0 in a format without a header.
    """

    path: Path
    frame: pandas.DataFrame
    lines: np.ndarray
    notes: list[str]
    header: list[str] = field(default_factory=list)
    header_line: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.frame.columns]

    def where(self, row: int, column: str = "") -> str:
        """Returns the location of a row or cell for an error message.

        Args:
            row: number of the row, from 0.
            column: name of a column. Default: the whole row.
        """
        return f"{self.path}:{self.lines[row]}" + f", column {column!r}" * bool(column)

    def texts(self, column: str) -> list[str]:
        """Returns the cells of a column as texts; a missing value is an empty string."""
        return [cell if type(cell) is str else cell_text(cell) for cell in self.frame[column].tolist()]


def cell_text(value: Any) -> str:
    """Converts a cell to text. A missing value is an empty string, and 1.0 is ``1``.

    >>> [cell_text(value) for value in ("a", None, float("nan"), 1.0, 0.5)]
    ['a', '', '', '1', '0.5']
    """
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def table_name(path: Path) -> tuple[str, str] | None:
    """Splits the name of a table, such as ``Train.csv.gz`` into ``("train", ".csv")``.

    Returns None if the extension is not one of `FORMATS`.

    >>> table_name(Path("Train.csv.gz"))
    ('train', '.csv')
    """
    name = Path(plain_name(path))
    return (name.stem, name.suffix) if name.suffix in FORMATS else None


def read_table(path: Path, *, encoding: str | None = None, bad: BadRows | None = None) -> Table:
    """Reads a table.

    The delimiter of .csv and .tsv files is recognised. Quotes are as in RFC 4180, but characters like any
    other where a tab is the delimiter. A column without a name is left out if it counts the rows or is empty.

    Args:
        path: a file in one of `FORMATS`, also compressed.
        encoding: encoding of a text format. Default: UTF-8.
        bad: receives the malformed rows, which are not in the table. By default they are an error.

    Raises:
        UsageError: the path does not exist, its extension is not supported, or the encoding is unknown.
        DataError: the file cannot be read, is empty, or has another format than its name says.

    >>> _ = (folder / "reviews.csv").write_text("text;label\\na dull film;0\\n")
    >>> table = read_table(folder / "reviews.csv")
    >>> table.frame.to_dict("records"), table.lines.tolist(), table.notes[0].partition(" ")[2]
    ([{'text': 'a dull film', 'label': '0'}], [2], 'is delimited by a semicolon')
    """
    check_encoding(encoding)
    name = table_name(path)
    if not name:
        hint = "; save an .xls file as .xlsx or .csv" * (Path(plain_name(path)).suffix == ".xls")
        raise UsageError(
            f"{path} has an unsupported extension; expected {', '.join(FORMATS)}, or these with "
            f"{', '.join(COMPRESSIONS)}{hint}"
        )
    content = read_bytes(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected rows")
    check_kind(path, content, name[1])
    found, notes = BadRows(path) if bad is None else bad, list[str]()
    header, header_line, names, columns, lines = _READERS[name[1]](path, content, encoding, found, notes)
    frame = _frame(path, names, columns, notes)
    if bad is None:
        found.settle("error", len(frame) + found.count, [])
    elif not len(frame):
        bad.settle("skip", bad.count, [])
    if not len(frame):
        raise DataError(f"{path} has no rows below its header; expected at least one row")
    return Table(path, frame, lines, notes, header, header_line)


Parts = tuple[list[str], int, list[str], list[Any], np.ndarray]
"""Header, line of the header, names and columns, line of each row."""


def _read_delimited(
    path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]
) -> Parts:
    import pyarrow

    suffix = (table_name(path) or ("", ".csv"))[1]
    chosen = check_text(path, content, encoding, bool(compression(path)))
    first: list[str] = []
    characters = 0
    for line in open_lines(content, chosen):
        first.append(line)
        characters += len(line)
        if len(first) == SAMPLE_LINES or characters > SAMPLE_CHARACTERS:
            break
    check_text_format(path, "".join(first[:20]), suffix)
    dialect, skipped = recognise(first, suffix)
    if dialect.delimiter != DELIMITERS[suffix]:
        notes.append(f"{path} is delimited by {NAMES[dialect.delimiter]}")
    rows = split_rows(path, open_lines(content, chosen), dialect, skipped, bad)
    header_line, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path} is empty; expected rows")
    chunks: list[list[Any]] = [[] for _ in header]
    lines: list[np.ndarray] = [np.empty(0, np.int64)]
    for block in _blocks(rows):
        lines.append(np.array([line for line, _ in block], np.int64))
        for chunk, cells in zip(chunks, zip(*(row for _, row in block))):
            chunk.append(pyarrow.array(cells, pyarrow.large_string()))
    if bad.blank:
        notes.append(f"{bad.blank} rows of {path} have no values and are skipped")
    columns = [pyarrow.chunked_array(chunk, pyarrow.large_string()).to_pandas() for chunk in chunks]
    return header, header_line, header, columns, np.concatenate(lines)


def _blocks(rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    block: list[tuple[int, list[str]]] = []
    for row in rows:
        block.append(row)
        if len(block) == CHUNK:
            yield block
            block = []
    if block:
        yield block


def _read_json_lines(
    path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]
) -> Parts:
    chosen = check_text(path, content, encoding, bool(compression(path)))
    names, columns, lines = read_json_lines(path, content, chosen, bad)
    return [], 0, names, columns, lines


def _read_json(path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]) -> Parts:
    chosen = check_text(path, content, encoding, bool(compression(path)))
    names, columns, lines = read_json(path, content, chosen, bad, notes)
    return [], 0, names, columns, lines


def _typed(read: Callable[[Path, bytes], tuple[list[str], list[Any]]]) -> Callable[..., Parts]:
    def parts(path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]) -> Parts:
        names, columns = read(path, content)
        rows = len(columns[0]) if columns else 0
        return [], 0, names, columns, np.arange(1, rows + 1)

    return parts


def _read_excel(path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]) -> Parts:
    header_line, header, columns, lines = read_excel(path, content, notes)
    return header, header_line, header, columns, lines


_READERS: dict[str, Callable[..., Parts]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".json": _read_json,
    ".parquet": _typed(read_parquet),
    ".arrow": _typed(read_arrow),
    ".feather": _typed(read_arrow),
    ".xlsx": _read_excel,
}


def _frame(path: Path, names: list[str], columns: list[Any], notes: list[str]) -> pandas.DataFrame:
    """Returns the named columns as a frame, and appends a note for each column without a name."""
    import pandas

    kept: dict[str, Any] = {}
    for index, (name, column) in enumerate(zip(names, columns)):
        clean = " ".join(str(name).split())
        if UNNAMED.fullmatch(clean):
            place = f"column {index + 1} of {path} has no name"
            values = column.astype(str).str.strip()
            filled = values[column.notna() & (values != "")]
            if filled.empty:
                notes.append(f"{place} and no values, and is left out")
                continue
            if _counts(filled):
                notes.append(f"{place}, counts the rows, and is left out")
                continue
            clean = f"Unnamed: {index}"
            notes.append(f"{place} and is named {clean!r}; it has values in {len(filled)} rows")
        unique, copies = clean, 0
        while unique in kept:
            copies += 1
            unique = f"{clean}.{copies}"
        if copies:
            notes.append(
                f"{path} has more than one column {clean!r}; the column {index + 1} is named {unique!r}"
            )
        kept[unique] = column
    return pandas.DataFrame(kept)


def _counts(values: pandas.Series) -> bool:
    """Returns True for the index that pandas writes: distinct whole numbers, from 0 or 1, or not in order.

    Ascending or descending numbers such as years may be dates, so these are not an index.
    """
    if not values.str.fullmatch(r"\d{1,12}(\.0)?").all():
        return False
    numbers = values.astype(float)
    in_order = numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing
    return numbers.is_unique and (numbers.min() <= 1 or not in_order)


def _key(name: str) -> str:
    return "".join(name.split()).casefold()


def find_column(
    table: Table, wanted: str | None, names: Sequence[str], flag: str, *, alternatives: Sequence[str] = ()
) -> str:
    """Returns the name of the column with a given role.

    Names are equal if they differ only in case or blanks, unless two columns differ only in these.

    Args:
        table: table with the columns.
        wanted: name that the user chose. Default: a known name.
        names: known names; the first that occurs is used.
        flag: option with which the user chooses the column, such as ``--text``.
        alternatives: known names that are used only if exactly one of them occurs.

    Raises:
        UsageError: the column ``wanted`` does not exist.
        DataError: no known name occurs, or the file has no header.

    >>> _ = (folder / "reviews.csv").write_text("Text,label\\na dull film,0\\n")
    >>> find_column(read_table(folder / "reviews.csv"), None, ("text",), "--text")
    'Text'
    """
    if wanted is not None:
        found = _matching(table, wanted)
        if wanted in table.columns:
            return wanted
        if len(found) == 1:
            return found[0]
        several = f"; {' and '.join(map(repr, found))} differ only in case or blanks" * bool(found)
        raise UsageError(
            f"{flag} {wanted} is not a column of {table.path}; found {_listed(table)}{several}{_no_header(table)}"
        )
    for name in names:
        found = [name] if name in table.columns else _matching(table, name)
        if found:
            break
    else:
        found = [column for name in alternatives for column in _matching(table, name)]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise DataError(
            f"{table.path} has the columns {' and '.join(map(repr, found))}; choose one with {flag} COLUMN"
        )
    if missing := _no_header(table):
        raise DataError(f"{table.path}:{table.header_line}: the column names are missing{missing}")
    raise DataError(
        f"{table.path} has no column {' or '.join(map(repr, names[:1]))}; found {_listed(table)}; choose the "
        f"column with {flag} COLUMN"
    )


def _matching(table: Table, name: str) -> list[str]:
    return [column for column in table.columns if _key(column) == _key(name)]


def _listed(table: Table) -> str:
    columns = [repr(column if len(column) <= 40 else column[:37] + "...") for column in table.columns]
    return ", ".join(columns[:20]) + f" and {len(columns) - 20} more" * (len(columns) > 20)


def _no_header(table: Table) -> str:
    """Returns a clause if the header of a delimited file looks like a row of values."""
    if not table.header:
        return ""
    for column in table.columns:
        is_number = re.fullmatch(r"[-+]?\d+([.,]\d+)?", column)
        is_text = len(column) > 60 or len(column.split()) > 6
        head = table.frame[column].head(1000).astype(str).str.strip()
        if is_number or is_text or (head == column).any():
            return "; the first row looks like data, so add a first row with column names"
    return ""
