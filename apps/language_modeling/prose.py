"""Running text that every CPython carries: English prose, and source code.

Nothing is shipped or downloaded: `prose` takes the reference documentation that ``help()`` shows, `code` the
modules of the standard library. Both differ a little between versions of Python, so a score on either
compares with another only under the same version; `version` names it.

Each is cut into blocks of whole documents, in the order of their names: about the first 80 % is train, then
10 % each for valid and test.
"""

import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqmodels.errors import DataError

FRACTIONS = {"train": 0.8, "valid": 0.1, "test": 0.1}
MODULE_BYTES = 32_768  # a module is taken up to this size: many hands and topics rather than a few long files

# A line of reST that begins an item, a note or a table, and what of it is no part of the sentence.
ITEM = re.compile(r"([*+-]|\d+\.|\(?\d+\)|\[\d+\]) +")
LABEL = re.compile(r"(\*\*CPython implementation detail:\*\* |(Note|Warning|Tip|Attention|Caution): )")
RULE = re.compile(r"[+|]|(=|-|\*|~|\^|\"|\.){3,}$")
VERSION = re.compile(
    r"(Changed|New|Added|Deprecated|Removed)( since| in)? version [^:.]*\d+\.\d+[^:.]*[:.] *"
)
FOOTNOTE = re.compile(r" \[\d+\]")
EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})(?=[^\s*])([^*]+?)\1(?![\w*])")
# Between sentences; an abbreviation ends none.
BREAK = re.compile(
    r"(?<!e\.g\.)(?<!i\.e\.)(?<!cf\.)(?<!vs\.)(?:(?<=[.!?])|(?<=[.!?][)\"”’])) (?=\(?[A-Z“\"‘])"
)
SENTENCE = re.compile(r"\(?[A-Z].*[.!?][)\"”’]?")
HYPHEN = re.compile(r"(?<=\w)-\n(?=\w)")
WORD = re.compile(r"[\"“‘'(]*[A-Za-z][A-Za-z’'-]*[,;:.!?)\"”’']*")


def version() -> str:
    """What the texts depend on, for the facts of a run."""
    return f"the text is that of Python {platform.python_version()}"


def prose() -> dict[str, list[str]]:
    """One sentence a line under "train", "valid" and "test", every sentence once.

    Of each topic of ``pydoc_data.topics`` the paragraphs are kept that read as English: no headings,
    signatures, grammars, tables and examples. Emphasis, footnotes and the notes on versions are taken out.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    documents = []
    for name in sorted(topics):
        sentences = [each for each in _sentences(topics[name]) if each not in seen]
        sentences = list(dict.fromkeys(sentences))  # topics quote each other, and themselves
        seen.update(sentences)
        documents.append(sentences)
    return _cut(documents)


def code() -> dict[str, list[str]]:
    """The lines of the modules of the standard library under "train", "valid" and "test".

    Taken are the modules of the top level whose names begin with a letter, up to `MODULE_BYTES` each.

    Raises:
        DataError: this Python comes without the source code of its library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in folder.glob("[a-z]*.py") if path.stat().st_size <= MODULE_BYTES)
    if len(paths) < len(FRACTIONS):
        raise DataError(
            f"{folder} has {len(paths)} modules in source code, expected the standard library: "
            "use a Python that comes with it, or name a file"
        )
    return _cut(path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in paths)


def _cut(documents: Iterable[list[str]]) -> dict[str, list[str]]:
    """Whole documents to the splits, by where the middle of each lies in the whole text."""
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
    """Runs of lines, each run in one line: they end at a blank line, an item, a table or a deeper indent."""
    for block in re.split(r"\n\s*\n", topic):
        lines: list[str] = []
        indent = 0
        for line in block.split("\n"):
            words = line.lstrip()
            if RULE.match(words.rstrip()):
                lines = []  # what stands above a rule is a heading
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
    """A capital, a full stop, and between them words mostly."""
    words = sentence.split()
    found = sum(1 for word in words if WORD.fullmatch(word))
    return bool(SENTENCE.fullmatch(sentence)) and len(words) >= 4 and found >= 0.8 * len(words)
