"""Readers of files; the error of a broken file is one line with the file and the line or byte."""

import gzip
import os
from pathlib import Path

import pytest

from seqmodels.data.files import list_folder, read_text
from seqmodels.errors import DataError, UserError


def message(error: type[UserError], function, *arguments) -> str:
    """Returns the one-line message of the error that ``function(*arguments)`` raises."""
    with pytest.raises(error) as caught:
        list(function(*arguments))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "A.TXT.GZ"])
def test_text_is_read_without_its_byte_order_mark(tmp_path, name):
    path = tmp_path / name
    content = "\ufeffnaïve\r\n".encode()
    path.write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert read_text(path) == "naïve\r\n"


@pytest.mark.parametrize(("name", "extra"), [("a.txt", ""), ("a.txt.gz", " of the uncompressed content")])
def test_an_error_names_the_offset_of_invalid_bytes(tmp_path, name, extra):
    bad = message(DataError, read_text, write(tmp_path, name, "é".encode() + b"x\xff"))
    assert f"{name}:1: byte 3{extra} is 0xff" in bad
    nul = message(DataError, read_text, write(tmp_path, name, b"\xef\xbb\xbfab\0"))
    assert f"{name}:1: byte 5{extra} is 0x00" in nul


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: content[:5], lambda content: b"text,label\n"]
)
def test_truncated_and_corrupt_gzip(tmp_path, damage):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(1000))))
    assert f"{path} is a truncated or corrupt gzip file" in message(DataError, read_text, path)


def test_gzip_with_flipped_bits(tmp_path):
    content = bytearray(gzip.compress(b"text,label\n" * 100))
    content[15] ^= 0xFF
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    assert "truncated or corrupt gzip" in message(DataError, read_text, path)


def test_files_and_folders_without_read_permission(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    assert "a.csv cannot be read: Permission denied" in message(DataError, read_text, tmp_path / "a.csv")
    assert f"{tmp_path} cannot be read: Permission denied" in message(DataError, list_folder, tmp_path)


def test_folders_and_files_are_sorted_without_hidden_ones(tmp_path):
    for name in ("b", "a", ".git"):
        (tmp_path / name).mkdir()
    for name in ("z.txt", "y.txt", ".DS_Store"):
        (tmp_path / name).touch()
    folders, files = list_folder(tmp_path)
    assert [path.name for path in folders] == ["a", "b"]
    assert [path.name for path in files] == ["y.txt", "z.txt"]
