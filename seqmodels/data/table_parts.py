"""Reads tables and text files in parts. The memory use does not grow with the length of the file."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.bad_rows import BadRows
from seqmodels.data.compression import BROKEN, compression, only_member, read_bytes
from seqmodels.data.delimited import DELIMITERS, NAMES, recognise, split_rows
from seqmodels.data.encodings import check_encoding, check_text
from seqmodels.data.kinds import check_kind, check_text_format
from seqmodels.data.records import json_rows
from seqmodels.data.table import Table, named_frame
from seqmodels.data.tables import SAMPLE_LINES, read_table, table_name
from seqmodels.errors import DataError, UsageError

BLOCK = 1 << 20  # number of bytes that are read at once


def table_parts(
    path: Path, rows: int = 4096, *, encoding: str | None = None, prefer_utf8: bool = False
) -> Iterator[Table]:
    """Reads a table, and yields it in parts of at most ``rows`` rows.

    The parts have the same columns as the result of :func:`read_table`. The first part contains the notes
    about the table. The memory use is limited for .csv, .tsv and .jsonl files in UTF-8, even if they are
    compressed. It is also limited for uncompressed .parquet, .arrow and .feather files. Any other file is
    read as a whole.

    Raises:
        UsageError, DataError: for the same reasons as :func:`read_table`. A malformed row raises DataError
            when its part is read.

    >>> _ = (folder / "reviews.csv").write_text("text,label\\na dull film,0\\na good film,1\\n")
    >>> [part.frame["text"].tolist() for part in table_parts(folder / "reviews.csv", rows=1)]
    [['a dull film'], ['a good film']]
    """
    check_encoding(encoding)
    suffix = (table_name(path) or ("", ""))[1]
    if suffix in (*DELIMITERS, ".jsonl") and (head := _head(path)).strip():
        check_kind(path, head, suffix)
        chosen = text_encoding(path, encoding, prefer_utf8=prefer_utf8)
        yield from (_of_delimited if suffix in DELIMITERS else _of_json_lines)(path, rows, chosen)
    elif suffix in (".parquet", ".arrow", ".feather") and not compression(path) and _head(path):
        yield from _of_arrow(path, rows, suffix)
    else:
        table = read_table(path, encoding=encoding, prefer_utf8=prefer_utf8)
        for start in range(0, len(table), rows):
            part = slice(start, start + rows)
            frame = table.frame.iloc[part].reset_index(drop=True)
            yield Table(path, frame, table.lines[part], [] if start else table.notes)


def text_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yields the lines of a text file with their line ends. The file may be compressed.

    Raises:
        DataError: the file cannot be decompressed.
    """
    with _opened(path) as content, io.TextIOWrapper(content, encoding=encoding, newline="") as stream:
        try:
            first = next(iter(stream), None)
            if first is not None:
                yield first.removeprefix("\ufeff")
                yield from stream
        except BROKEN as error:
            raise _corrupt(path, error) from error


def text_encoding(path: Path, encoding: str | None = None, *, prefer_utf8: bool = False) -> str:
    """Checks that a whole file is text, and returns the name of its Python encoding.

    A UTF-8 file is read in blocks. Any other file is read into memory as a whole.

    Args:
        path: text file, which may be compressed.
        encoding: encoding that the user selected. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.

    Raises:
        DataError: the file is not text in this encoding.
    """
    if (encoding is None or prefer_utf8) and _is_utf8(path):
        return "utf-8-sig"
    # `check_text` needs the whole file, because its error message contains the line of the first invalid byte
    # and a probable encoding.
    packed = bool(compression(path))
    return check_text(path, read_bytes(path), encoding, packed=packed, prefer_utf8=prefer_utf8)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _opened(path) as content:
            while block := content.read(BLOCK):
                if b"\0" in block:
                    return False
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except BROKEN as error:
        raise _corrupt(path, error) from error
    return True


def _head(path: Path) -> bytes:
    """Returns the first bytes of the uncompressed content of a file, at most BLOCK bytes."""
    try:
        with _opened(path) as content:
            return content.read(BLOCK)
    except BROKEN as error:
        raise _corrupt(path, error) from error


def _opened(path: Path) -> Any:
    """Opens a file for reading its uncompressed bytes."""
    packed = compression(path)
    try:
        if packed == ".zip":
            archive = zipfile.ZipFile(path)
            return archive.open(only_member(path, archive))
        openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        return openers.get(packed, open)(path, "rb")
    except FileNotFoundError as error:
        raise UsageError(f"{str(path)!r} does not exist; check the path") from error
    except zipfile.BadZipFile as error:
        raise _corrupt(path, error) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}; check the path and its permissions"
        ) from error


def _corrupt(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path} is truncated or corrupt ({reason}); create or copy it again")


def _require_none(bad: BadRows) -> None:
    if bad.count:
        raise DataError(f"{bad.listed()}; correct the file")


def _of_delimited(path: Path, rows: int, encoding: str) -> Iterator[Table]:
    import pandas

    suffix = (table_name(path) or ("", ".csv"))[1]
    lines = text_lines(path, encoding)
    first = list(islice(lines, SAMPLE_LINES))
    check_text_format(path, "".join(first[:20]), suffix)
    dialect, skipped = recognise(first, suffix)
    bad = BadRows(path)
    split = split_rows(path, chain(first, lines), dialect, skipped, bad)
    header_line, header = next(split, (0, []))
    if not header:
        raise DataError(f"{path} is empty; expected rows")
    seen = False
    while block := list(islice(split, rows)):
        notes = [f"{path} is delimited by {NAMES[dialect.delimiter]}"]
        if dialect.delimiter == DELIMITERS[suffix]:
            notes = []
        columns = [pandas.Series(cells, dtype=object) for cells in zip(*(row for _, row in block))]
        frame = named_frame(path, header, columns, notes)
        _require_none(bad)
        numbers = np.array([line for line, _ in block], np.int64)
        yield Table(path, frame, numbers, [] if seen else notes, header, header_line)
        seen = True
    _require_none(bad)
    if not seen:
        raise DataError(f"{path} has no rows below its header; expected at least one row")


def _of_json_lines(path: Path, rows: int, encoding: str) -> Iterator[Table]:
    import pandas

    bad, seen = BadRows(path), False
    found = json_rows(path, _unix_lines(path, encoding), bad)
    while block := list(islice(found, rows)):
        _require_none(bad)
        numbers, records = zip(*block)
        names = list(dict.fromkeys(name for record in records for name in record))
        columns = [pandas.Series([record.get(name) for record in records], dtype=object) for name in names]
        notes: list[str] = []
        frame = named_frame(path, names, columns, notes)
        yield Table(path, frame, np.array(numbers, np.int64), [] if seen else notes)
        seen = True
    _require_none(bad)


def _unix_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yields lines. Only a line feed ends a line, because JSON strings may contain other line separators."""
    kept = ""
    for piece in text_lines(path, encoding):
        kept += piece
        if kept.endswith("\n"):
            yield kept
            kept = ""
    if kept:
        yield kept


def _of_arrow(path: Path, rows: int, suffix: str) -> Iterator[Table]:
    import pyarrow
    from pyarrow import ipc, parquet

    check_kind(path, _head(path)[:4096], suffix)
    start = 1
    try:
        if suffix == ".parquet":
            batches: Any = parquet.ParquetFile(path, memory_map=True).iter_batches(rows)
        else:
            source = pyarrow.memory_map(str(path))
            if source.read(6) != b"ARROW1":  # an Arrow stream, or a Feather file of version 1
                raise _Whole
            source.seek(0)
            reader = ipc.open_file(source)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        for batch in batches:
            for offset in range(0, batch.num_rows, rows):
                part = batch.slice(offset, rows)
                part.validate(full=True)  # the offsets in a damaged file can point outside its memory
                columns = [column.to_pandas(integer_object_nulls=True) for column in part.columns]
                notes: list[str] = []
                frame = named_frame(path, list(map(str, part.schema.names)), columns, notes)
                numbers = np.arange(start, start + part.num_rows)
                yield Table(path, frame, numbers, notes if start == 1 else [])
                start += part.num_rows
    except _Whole:
        yield read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError | UsageError):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{path} is not a readable {suffix} file ({reason}); write or copy it again"
        ) from error
    if start == 1:
        read_table(path)  # raises DataError, because the table has no rows


class _Whole(Exception):
    """Raised for a file whose format can only be read as a whole."""
