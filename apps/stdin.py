"""Reads the lines of stdin as they arrive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from queue import Empty, Queue
from threading import Thread

from seqmodels.errors import DataError

LINES_AT_ONCE = 4096  # largest number of lines in one list, which limits the memory use


def lines_as_they_come() -> Iterator[list[str]]:
    """Yields the lines that have arrived on stdin, in lists of at most LINES_AT_ONCE lines.

    A line is yielded as soon as it arrives. Therefore an interactive caller does not wait for further lines.
    The memory use does not grow with the number of lines.

    Raises:
        DataError: a line is not UTF-8 text.
    """
    queue: Queue[str | Exception | None] = Queue(LINES_AT_ONCE)

    def read() -> None:
        number = 0
        try:
            # sys.stdin.buffer is not used, because Python would abort at exit if this thread was still
            # reading from it.
            with open(sys.stdin.fileno(), "rb", closefd=False) as lines:
                for line in lines:
                    number += 1
                    queue.put(line.decode().rstrip("\r\n"))
            queue.put(None)
        except UnicodeDecodeError as error:
            place = f"stdin:{number}: byte {error.start} of the line is 0x{error.object[error.start]:02x}"
            queue.put(
                DataError(f"{place}, which is not UTF-8 text; convert the input, for example with iconv")
            )
        except Exception as error:
            queue.put(error)

    Thread(target=read, daemon=True).start()
    item: str | Exception | None = ""
    while item is not None:
        lines: list[str] = []
        item = queue.get()
        while isinstance(item, str):
            lines.append(item)
            if len(lines) == LINES_AT_ONCE:
                break
            try:
                item = queue.get_nowait()
            except Empty:
                break
        if lines:
            yield lines
        if isinstance(item, Exception):
            raise item
