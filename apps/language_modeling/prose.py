"""Texts that are part of the installed Python: English prose and source code.

The texts need no download, because they are part of Python. `prose` reads the reference
documentation that ``help()`` prints. `code` reads the modules of the standard library. Both texts differ
slightly between versions of Python, so scores can be compared only for the same version. `version` returns
a note with the version.

A document is one module, or one topic of the documentation. Documents are sorted by name, and all lines of a
document belong to the same split. The training split contains about the first 80 % of the text. The
validation split contains the next 10 %, and the test split contains the last 10 %.
"""

import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqmodels.errors import DataError

FRACTIONS = {"train": 0.8, "valid": 0.1, "test": 0.1}  # fractions of the text
MODULE_BYTES = 32_768  # larger modules are skipped; otherwise, a few of them would dominate the text

# Markup that is removed from reST text: list markers, labels of notes, table rows, underlines, version notes.
ITEM = re.compile(r"([*+-]|\d+\.|\(?\d+\)|\[\d+\]) +")
LABEL = re.compile(r"(\*\*CPython implementation detail:\*\* |(Note|Warning|Tip|Attention|Caution): )")
RULE = re.compile(r"[+|]|(=|-|\*|~|\^|\"|\.){3,}$")
VERSION = re.compile(
    r"(Changed|New|Added|Deprecated|Removed)( since| in)? version [^:.]*\d+\.\d+[^:.]*[:.] *"
)
FOOTNOTE = re.compile(r" \[\d+\]")
EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})(?=[^\s*])([^*]+?)\1(?![\w*])")
# The space between two sentences. Abbreviations such as "e.g." do not end a sentence.
BREAK = re.compile(
    r"(?<!e\.g\.)(?<!i\.e\.)(?<!cf\.)(?<!vs\.)(?:(?<=[.!?])|(?<=[.!?][)\"”’])) (?=\(?[A-Z“\"‘])"
)
SENTENCE = re.compile(r"\(?[A-Z].*[.!?][)\"”’]?")
HYPHEN = re.compile(r"(?<=\w)-\n(?=\w)")
WORD = re.compile(r"[\"“‘'(]*[A-Za-z][A-Za-z’'-]*[,;:.!?)\"”’']*")


def version() -> str:
    """Returns a note with the version of Python from which the texts come."""
    return f"the text comes from Python {platform.python_version()}"


def prose() -> dict[str, list[str]]:
    """Returns the prose, one sentence per line, for "train", "valid" and "test".

    Every sentence occurs once. The sentences come from the English paragraphs in ``pydoc_data.topics``.
    Headings, signatures, grammars, tables and examples are dropped. Emphasis, footnotes and version notes are
    removed from the sentences.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    documents = []
    for name in sorted(topics):
        sentences = [each for each in _sentences(topics[name]) if each not in seen]
        # A sentence may occur in several topics, or several times in one topic.
        sentences = list(dict.fromkeys(sentences))
        seen.update(sentences)
        documents.append(sentences)
    return _cut(documents)


def code() -> dict[str, list[str]]:
    """Returns lines of standard library modules for "train", "valid" and "test".

    The modules are the .py files in the main folder of the standard library. Each file name begins with a
    lower-case letter, and each file has at most `MODULE_BYTES` bytes.

    Raises:
        DataError: this Python installation does not include the source code of the standard library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in folder.glob("[a-z]*.py") if path.stat().st_size <= MODULE_BYTES)
    if len(paths) < len(FRACTIONS):
        raise DataError(
            f"{folder} has the source code of {len(paths)} modules, but the standard library has many more; "
            "use a Python installation with the source code of the standard library, or use --data with a "
            "text file"
        )
    return _cut(path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in paths)


def _cut(documents: Iterable[list[str]]) -> dict[str, list[str]]:
    """Returns the lines of each split.

    All lines of a document go to the split that contains the middle of the document.
    """
    documents = [lines for lines in documents if lines]
    sizes = [sum(len(line) + 1 for line in lines) for lines in documents]
    splits: dict[str, list[str]] = {name: [] for name in FRACTIONS}
    passed = 0
    for lines, size in zip(documents, sizes):
        share = (passed + size / 2) / sum(sizes)
        passed += size
        name = "train" if share < FRACTIONS["train"] else "valid" if share < 1 - FRACTIONS["test"] else "test"
        splits[name] += lines
    return splits


def _sentences(topic: str) -> Iterator[str]:
    for paragraph in _paragraphs(topic):
        paragraph = VERSION.sub("", LABEL.sub("", paragraph))
        paragraph = EMPHASIS.sub(r"\2", FOOTNOTE.sub("", paragraph))
        for sentence in BREAK.split(paragraph):
            if _is_english(sentence):
                yield sentence


def _paragraphs(topic: str) -> Iterator[str]:
    """Yields each paragraph as one line.

    A paragraph ends before a blank line, a list item, a table or a line with a deeper indent.
    """
    for block in re.split(r"\n\s*\n", topic):
        lines: list[str] = []
        indent = 0
        for line in block.split("\n"):
            words = line.lstrip()
            if RULE.match(words.rstrip()):
                lines = []  # the lines above a rule are a heading
                continue
            item = ITEM.match(words)
            start = len(line) - len(words) + (item.end() if item else 0)
            if lines and (item or start > indent):
                yield _joined(lines)
                lines = []
            if not lines:
                indent = start
            lines.append(line[start:])
        if lines:
            yield _joined(lines)


def _joined(lines: list[str]) -> str:
    return " ".join(HYPHEN.sub("-", "\n".join(lines)).split())


def _is_english(sentence: str) -> bool:
    """Returns True if the text starts with a capital, consists mostly of words, and ends with punctuation."""
    words = sentence.split()
    found = sum(1 for word in words if WORD.fullmatch(word))
    return bool(SENTENCE.fullmatch(sentence)) and len(words) >= 4 and found >= 0.8 * len(words)
