"""Checks the encoding of text files, and guesses the encoding of files that are not UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from itertools import pairwise
from pathlib import Path

from seqmodels.errors import DataError, UsageError

EXAMPLES = "latin-1, cp1252, utf-16, gb18030 or shift_jis"
SAMPLE = 1 << 16  # number of bytes from which an encoding is guessed
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def check_encoding(encoding: str | None) -> None:
    """Raises UsageError if ``encoding`` is not a text encoding of Python."""
    if encoding is None:
        return
    try:
        known = codecs.lookup(encoding)
    except (LookupError, ValueError, UnicodeError):
        known = None
    is_text = known is not None and getattr(known, "_is_text_encoding", True)
    if not is_text or known is None or known.name in ("idna", "punycode", "undefined"):
        raise UsageError(f"--encoding {encoding} is not a text encoding; use a name such as {EXAMPLES}")


def check_text(
    path: Path,
    content: bytes,
    encoding: str | None = None,
    *,
    packed: bool = False,
    prefer_utf8: bool = False,
    notes: list[str] | None = None,
) -> str:
    """Checks that ``content`` is text, and returns the name of its Python encoding.

    Args:
        path: path of the file, for error messages.
        content: bytes of the file, after decompression.
        encoding: encoding that the user chose. Default: UTF-8, with or without a byte order mark.
        packed: True if the file is compressed. The error message then refers to the uncompressed content.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.
        notes: list to which a note is appended if the chosen encoding is probably wrong.

    Raises:
        UsageError: the encoding does not exist.
        DataError: the bytes are not text in this encoding, or the text contains NUL characters.

    >>> check_text(Path("a.csv"), b"a film")
    'utf-8-sig'
    """
    check_encoding(encoding)
    chosen = encoding or "utf-8-sig"
    if codecs.lookup(chosen).name == "utf-8":
        chosen = "utf-8-sig"
    if codecs.lookup(chosen).name in ("utf-16", "utf-32") and _is_utf8(content):
        if prefer_utf8:
            return "utf-8-sig"
        raise DataError(f"{path} is UTF-8 text, not {encoding}; remove --encoding")
    if codecs.lookup(chosen).name == "utf-16" and not content.startswith(tuple(MARKS)):
        chosen = "utf-16-le"  # almost all files have this byte order
    bad = _first_bad(content, chosen)
    if chosen != "utf-8-sig":
        is_utf8 = _is_utf8(content)
        if prefer_utf8 and is_utf8:
            return "utf-8-sig"
        if notes is not None and is_utf8 and bad < 0 and not content.isascii():
            notes.append(f"{path} is valid UTF-8 but is read as {encoding}; check --encoding")
    if bad < 0:
        return chosen
    line = content.count(b"\n", 0, bad) + 1
    found = f"byte {bad}" + " of the uncompressed content" * packed + f" is 0x{content[bad]:02x}, not "
    if encoding and codecs.lookup(encoding).name != "utf-8":
        raise DataError(f"{path}:{line}: {found}{encoding} text; use another --encoding; {_hint(content)}")
    raise DataError(f"{path}:{line}: {found}UTF-8 text; {_hint(content)}")


def _first_bad(content: bytes, encoding: str) -> int:
    """Returns the index of the first byte that is not text in the encoding, or -1 if all bytes are text."""
    try:
        text = content.decode(encoding)
        if encoding != "utf-8-sig":
            text.encode()  # some encodings can produce lone surrogates, which are not text
    except UnicodeEncodeError:
        return 0
    except UnicodeError as error:
        # ``error.start`` does not count the byte order mark, so the 3 bytes of the mark are added. If the
        # error has no attribute ``start``, 0 is used.
        mark = 3 if encoding == "utf-8-sig" and content.startswith(codecs.BOM_UTF8) else 0
        return getattr(error, "start", 0) + mark
    return max(content.find(b"\0"), 0) if "\0" in text else -1


def _is_utf8(content: bytes) -> bool:
    return _first_bad(content, "utf-8-sig") < 0


def _hint(content: bytes) -> str:
    guess = guess_encoding(content)
    if guess:
        return f"the file looks like {guess}, so read it with --encoding {guess}"
    if b"\0" in content[:SAMPLE]:
        return "the file looks binary; convert the file to UTF-8, or use a text file"
    return f"convert the file to UTF-8, or name its encoding, such as {EXAMPLES}, with --encoding"


def guess_encoding(content: bytes) -> str | None:
    """Guesses the encoding of text that is not UTF-8, or returns None if no guess is plausible.

    >>> guess_encoding("text,label\\nnaïve,good\\n".encode("latin-1"))
    'latin-1'
    """
    sample = content[:SAMPLE]
    for mark, name in MARKS.items():
        if sample.startswith(mark):
            return name
    if b"\0" in sample:
        return _guess_utf16(sample)
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1a" for byte in sample)
    high = sum(byte >= 0x80 for byte in sample)
    if controls or not high:
        return None
    # In Latin scripts, most accented letters are next to ASCII letters. In other scripts, most letters
    # consist of bytes above 127. If few of these bytes are adjacent, the script is therefore probably Latin.
    adjoining = sum(a >= 0x80 and b >= 0x80 for a, b in pairwise(sample))
    if adjoining < 0.3 * high:
        return _latin(sample)
    if _share(sample, "cp932", _is_japanese) > 0.8:
        return "shift_jis"
    if _share(sample, "gb18030", _is_chinese) > 0.8 and _has_late_rows(sample):
        return "gb18030"
    # Two adjacent accented letters do not rule out a Latin script: "Größe" has two. Three are rare in Latin
    # scripts, so no encoding is guessed if there are three.
    return None if re.search(rb"[\x80-\xff]{3}", sample) else _latin(sample)


def _latin(sample: bytes) -> str:
    return "cp1252" if re.search(rb"[\x80-\x9f]", sample) else "latin-1"


def _guess_utf16(sample: bytes) -> str | None:
    """Returns "utf-16-le" or "utf-16-be" if the bytes are printable text in this encoding, else None."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    for name, here, there in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        try:
            text = sample[: len(sample) // 2 * 2].decode(name, errors="ignore")
        except UnicodeError:  # pragma: no cover - "ignore" decodes any bytes
            continue
        plain = sum(character.isprintable() or character in "\t\r\n" for character in text)
        if here > 4 * there and plain > 0.95 * len(text):
            return name
    return None


def _share(sample: bytes, encoding: str, accept) -> float:
    """Returns the share of the non-ASCII characters for which ``accept`` returns True."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=False)
    try:
        text = decoder.decode(sample)  # an incomplete character at the end is ignored
    except UnicodeDecodeError:
        return 0.0
    characters = [character for character in text if not character.isascii()]
    return sum(map(accept, characters)) / max(1, len(characters))


def _is_japanese(character: str) -> bool:
    """Returns True for kana, Japanese punctuation and the kanji of JIS level 1."""
    if "\u3000" <= character <= "\u30ff" or "\uff01" <= character <= "\uff5e":
        return True
    pair = character.encode("cp932", errors="ignore")
    return len(pair) == 2 and 0x88 <= pair[0] <= 0x98


def _is_chinese(character: str) -> bool:
    """Returns True for Chinese punctuation and the characters of GB 2312 level 1."""
    pair = character.encode("gb2312", errors="ignore")
    return len(pair) == 2 and (pair[0] in (0xA1, 0xA3) or 0xB0 <= pair[0] <= 0xD7)


def _has_late_rows(sample: bytes) -> bool:
    """Returns True for Chinese text in GB 18030, and False for Korean text in EUC-KR.

    The text is decoded as GB 18030. In Chinese text, more than a tenth of the different characters have a
    first byte above 0xC8. In Korean text, fewer characters have such a byte. A text with fewer than 8
    different Chinese characters is too short for this test, and counts as Chinese.
    """
    text = set(sample.decode("gb18030", errors="ignore"))
    leads = [character.encode("gb18030")[0] for character in text if "\u4e00" <= character <= "\u9fff"]
    return len(leads) < 8 or sum(lead > 0xC8 for lead in leads) > 0.1 * len(leads)
