"""Folders that are whole or not there."""

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
    """A new folder beside ``folder``, which takes its place when the block ends without an error.

    Args:
        folder: where to; its parents are made. Through a symbolic link its target is replaced.

    Raises:
        UserError: nothing can be written there.

    >>> with in_place_of(folder / "new") as temporary:
    ...     _ = (temporary / "file.txt").write_text("all or nothing")
    >>> (folder / "new" / "file.txt").read_text()
    'all or nothing'
    """
    folder = Path(os.path.realpath(folder))
    # Names of nobody's files, in the same folder: only inside of a file system a folder is renamed at once.
    new, old = (folder.with_name(f".{folder.name}.{uuid4().hex}") for _ in range(2))
    try:
        new.mkdir(parents=True)
        yield new
        try:
            if folder.exists():  # one that is not empty cannot be replaced in one step
                os.replace(folder, old)
            os.replace(new, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); {folder} is as it was"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
