"""Reads text files and lists folders. Error messages contain the file and, if known, the line or the byte.

Each file is read into memory as a whole. The default encoding is UTF-8, with or without a byte order mark.
Files may be compressed, see `seqmodels.data.compression`.
"""

import os
from pathlib import Path

from seqmodels.data.compression import compression, read_bytes
from seqmodels.data.encodings import check_text
from seqmodels.errors import DataError


def unreadable(path: Path | str, error: OSError) -> DataError:
    """Returns the error for a file or folder that exists but cannot be opened."""
    return DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions")


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files in ``folder`` as two lists, each sorted by name.

    Folders and files whose names start with a dot are skipped.

    Raises:
        DataError: the folder cannot be read.

    >>> _ = (folder / "reviews.csv").write_text("text\\n")
    >>> [[path.name for path in paths] for paths in list_folder(folder)]
    [[], ['reviews.csv']]
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(Path(entry.path))
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(folders), sorted(files)


def read_text(
    path: Path, encoding: str | None = None, *, prefer_utf8: bool = False, notes: list[str] | None = None
) -> str:
    """Reads a whole text file, which may be compressed. The byte order mark is dropped.

    Args:
        path: path of the file.
        encoding: encoding of the file. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.
        notes: list to which a note is appended if the chosen encoding is probably wrong.

    Raises:
        UsageError: the encoding is unknown.
        DataError: the file does not exist or cannot be read; its content cannot be decompressed or is not
            text in the encoding; or the text contains NUL characters.

    >>> _ = (folder / "text.txt").write_text("a film\\n")
    >>> read_text(folder / "text.txt")
    'a film\\n'
    """
    content = read_bytes(path)
    packed = bool(compression(path))
    chosen = check_text(path, content, encoding, packed=packed, prefer_utf8=prefer_utf8, notes=notes)
    return content.decode(chosen).removeprefix("\ufeff")
