"""Reads the inputs of ``predict --data FILE`` in parts. The memory use does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from apps.console import log
from apps.options import PredictOptions
from apps.run import Run
from apps.stdin import LINES_AT_ONCE
from apps.task import Task
from seqmodels.data.columns import find_column
from seqmodels.data.table_parts import table_parts, text_encoding, text_lines
from seqmodels.data.tables import table_name
from seqmodels.errors import DataError


def inputs_of(task: Task, run: Run, options: PredictOptions) -> Iterator[list[str]]:
    """Yields the inputs in ``--data`` in lists of at most LINES_AT_ONCE texts.

    A table contains one text per row. The texts are read from the column that the user selected. If the user
    did not select a column, the text column of the training data is used. If the table does not have this
    column, a column with a usual name is used. Any other file contains one text per line.

    The file is read with the encoding that the user selected. If the user did not select an encoding, the
    file is read as UTF-8. If it is not valid UTF-8, it is read with the encoding of the training data.

    If ``options.reads_stdin`` is False, the function does not open the file. It yields only the value of
    ``--data``. This is the case in forecasting.

    Raises:
        UsageError: the file does not exist, or the table does not have the column.
        DataError: the content of the file cannot be read.
    """
    path = Path(str(options.data))
    if not options.reads_stdin:
        yield [str(options.data)]
        return
    stored = run.read_json("options.json")
    own = getattr(options, "encoding", None)
    how: dict[str, Any] = {"encoding": own or stored.get("encoding"), "prefer_utf8": own is None}
    if table_name(path) is None:
        yield from _lines(task, path, stored, how)
        return
    column = ""
    for table in table_parts(path, LINES_AT_ONCE, **how):
        if not column:
            column = _column(task, table, options, stored)
            for note in table.notes:
                log.print(f"note: {note}")
        yield table.texts(column) if column in table.columns else [""] * len(table)


def _column(task: Task, table: Any, options: PredictOptions, stored: Mapping[str, Any]) -> str:
    """Returns the name of the column with the inputs.

    If the user did not select the column, a note with its name is printed.
    """
    wanted = getattr(options, options.column)
    flag = f"--{options.column.replace('_', '-')}"
    if wanted is not None:
        return find_column(table, wanted, (), flag)
    if task.input_column is not None:
        column = task.input_column(table, stored)
    else:
        column = find_column(table, None, ("text",), flag)
    log.print(f"note: the inputs are read from the column {column!r} of {table.path}; change it with {flag}")
    return column


def _lines(task: Task, path: Path, stored: Mapping[str, Any], how: dict[str, Any]) -> Iterator[list[str]]:
    lines = text_lines(path, text_encoding(path, **how))
    empty = True
    while chunk := list(islice(lines, LINES_AT_ONCE)):
        empty = False
        texts = [line.rstrip("\r\n") for line in chunk]
        yield [task.input_line(text, stored) for text in texts]
    if empty:
        raise DataError(f"{path} is empty; expected one text per line")
