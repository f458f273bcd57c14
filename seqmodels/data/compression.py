"""Reads compressed files: ``.gz``, ``.bz2``, ``.xz``, and ``.zip`` archives that contain one file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from seqmodels.errors import DataError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip")


def compression(path: Path) -> str:
    """Returns the extension of a compressed file in lower case, or "" if the file is not compressed.

    >>> compression(Path("Train.csv.GZ"))
    '.gz'
    """
    suffix = path.suffix.lower()
    return suffix if suffix in COMPRESSIONS else ""


def plain_name(path: Path) -> str:
    """Returns the file name in lower case without ``.gz``, ``.bz2``, ``.xz`` or ``.zip``.

    If ``.zip`` is the only extension, it is replaced by the extension of the file in the archive.

    >>> plain_name(Path("Train.csv.gz"))
    'train.csv'
    """
    packed = compression(path)
    name = path.name.lower().removesuffix(packed)
    if packed == ".zip" and not Path(name).suffix and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                name += Path(only_member(path, archive).filename.lower()).suffix
        except (DataError, *BROKEN):  # If the file is read later, `read_bytes` raises the error.
            return name
    return name


def read_bytes(path: Path) -> bytes:
    """Reads a whole file and decompresses its content.

    Raises:
        DataError: the file does not exist, cannot be read, is corrupt, or is a ``.zip`` that contains no
            file, several files or an encrypted file.

    >>> _ = (folder / "text.txt.gz").write_bytes(gzip.compress(b"a film"))
    >>> read_bytes(folder / "text.txt.gz")
    b'a film'
    """
    packed = compression(path)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}; check the path and its permissions") from error
    try:
        if packed == ".gz":
            return gzip.decompress(content)
        if packed == ".bz2":
            return bz2.decompress(content)
        if packed == ".xz":
            return lzma.decompress(content)
        if packed == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return archive.read(only_member(path, archive))
    except BROKEN as error:
        kind = "gzip" if packed == ".gz" else packed[1:]
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} is a truncated or corrupt {kind} file ({reason}); create or copy it again"
        ) from error
    return content


def only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Returns the only file in the archive. Folders, hidden files and the files that macOS adds do not count.

    Raises:
        DataError: the archive contains no file or several files, or its file is encrypted.
    """
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith("__MACOSX/")
        and not Path(member.filename).name.startswith(".")
    ]
    if len(members) != 1:
        listed = ", ".join(member.filename for member in members[:3]) + ", ..." * (len(members) > 3)
        raise DataError(
            f"{path} contains {len(members)} files{': ' * bool(members)}{listed}; expected one file; "
            "unpack the archive"
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{path} is encrypted; unpack it with its password")
    return members[0]


# The errors that the decompressors can raise if a file is damaged.
BROKEN = (
    EOFError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
)
