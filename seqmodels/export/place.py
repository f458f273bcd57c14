"""Replaces folders atomically."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from seqmodels.errors import UserError


@contextmanager
def in_place_of(folder: Path) -> Iterator[Path]:
    """Context manager that yields a new folder, which replaces ``folder`` at the end of the ``with`` block.

    If the block raises an error, ``folder`` does not change.

    Args:
        folder: folder to create or replace. Its parent folders are created. If ``folder`` is a symbolic link,
            the target of the link is replaced.

    Raises:
        UserError: the folder cannot be written.

    >>> with in_place_of(folder / "new") as temporary:
    ...     _ = (temporary / "file.txt").write_text("all or nothing")
    >>> (folder / "new" / "file.txt").read_text()
    'all or nothing'
    """
    folder = Path(os.path.realpath(folder))
    # ``new`` and ``old`` are temporary folders with unique names. They have the same parent folder as
    # ``folder``, because a folder can be renamed atomically only within one file system.
    new, old = (folder.with_name(f".{folder.name}.{uuid4().hex}") for _ in range(2))
    try:
        new.mkdir(parents=True)
        yield new
        try:
            if folder.exists():  # a folder that is not empty cannot be replaced in one step
                os.replace(folder, old)
            os.replace(new, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be written ({error.strerror}); {folder} is unchanged"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
