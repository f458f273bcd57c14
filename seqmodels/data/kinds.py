"""Recognises files whose content does not fit their extension. The error describes the actual content."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from seqmodels.errors import DataError

EXCEL = "an Excel file"
MAGIC = {
    b"\x1f\x8b": ("a gzip file", "add .gz to its name"),
    b"BZh": ("a bzip2 file", "add .bz2 to its name"),
    b"\xfd7zXZ\0": ("an xz file", "add .xz to its name"),
    b"PAR1": ("a Parquet file", "rename it to .parquet"),
    b"ARROW1": ("an Arrow file", "rename it to .arrow"),
    b"FEA1": ("a Feather file", "rename it to .feather"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (f"{EXCEL} of the old format .xls", "save it as .xlsx or .csv"),
    b"%PDF": ("a PDF document", "extract its table into a .csv file"),
    b"SQLite format 3\0": ("an SQLite database", "export the table to a .csv file"),
    b"\x89PNG": ("an image", "use a table"),
    b"\xff\xd8\xff": ("an image", "use a table"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"\x7fELF": ("a program", "use a table"),
    b"\x80\x04\x95": ("a pickle file", "write the DataFrame with to_csv or to_parquet"),
    b"\x80\x05\x95": ("a pickle file", "write the DataFrame with to_csv or to_parquet"),
    b"\x89HDF": ("an HDF5 file", "write its table with to_csv or to_parquet"),
}
# Extensions that each kind of file may have. For example, an Arrow file may have the extension .feather.
OWN = {
    EXCEL: (".xlsx",),
    "a Parquet file": (".parquet",),
    "an Arrow file": (".arrow", ".feather"),
    "a Feather file": (".arrow", ".feather"),
}
MARKUP = ("<!doctype", "<html", "<head", "<body", "<script")


def check_kind(path: Path, content: bytes, suffix: str) -> None:
    """Raises DataError if the content of a file shows that the extension ``suffix`` is wrong.

    >>> check_kind(Path("a.csv"), b"text,label", ".csv")
    """
    found = _kind(content[:4096])
    if content.startswith(b"PK\x03\x04"):
        found = _zip_kind(content)
    if found and suffix not in OWN.get(found[0], ()):
        kind, remedy = found
        raise DataError(f"{path} is {kind}, not a {suffix} file; {remedy}")


def _kind(start: bytes) -> tuple[str, str] | None:
    for magic, found in MAGIC.items():
        if start.startswith(magic):
            return found
    for encoding in ("utf-8-sig", "utf-16"):
        if encoding == "utf-16" and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        text = start.decode(encoding, errors="replace").lstrip().lower()
        if text.startswith(MARKUP):
            return "an HTML page", "download the data file itself, for example by its raw or download link"
        if text.startswith("<?xml"):
            return "an XML document", "convert its rows to a .csv file"
        if text.startswith("version https://git-lfs"):
            return "a Git LFS pointer instead of the data", "download the data with git lfs pull"
    return None


def _zip_kind(content: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, LookupError, NotImplementedError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return EXCEL, "rename it to .xlsx, or save it as .csv"
    if "content.xml" in names:
        return "an OpenDocument file", "save it as .xlsx or .csv"
    return "a zip archive", "add .zip to its name if it contains one table, or unpack it"


def check_text_format(path: Path, text: str, suffix: str) -> None:
    """Raises DataError if a file with the extension .csv or .tsv contains JSON.

    Args:
        path: path of the file, for error messages.
        text: first characters of the file.
        suffix: extension of the file.
    """
    start = text.lstrip()
    if suffix in (".csv", ".tsv") and start[:1] in ("{", "["):
        inner = start[1:].lstrip()
        if inner[:1] in ('"', "{", "}") or start[:2] == "[]":
            right = ".jsonl" if start[0] == "{" else ".json"
            raise DataError(f"{path} is JSON, not a {suffix} file; rename it to {right}")
