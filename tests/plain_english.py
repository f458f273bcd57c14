"""The rules of plain English that every text of the project follows.

``python tests/plain_english.py [PATH ...]`` lists the texts that break a rule. Without PATH, it checks the
whole project.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("apps", "seqmodels", "benchmarks")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "benchmarks", "apps", "examples")
LONGEST = 25  # maximum number of words of a sentence

# Maps a forbidden pattern to a text that describes how to replace it.
PHRASES = {
    r"(?<!there )\b(is|are|was|were) no (?!longer|more|less|different|need|error|worse|better)": '"is not a"',
    r"\bis none\b": "say what is missing",
    r", of (which|whom)\b": "two sentences",
    r"\bso many\b": "N",
    r"\bnone (for|to)\b": '"Default: ..."',
    r"\bat ease\b": "name the limit",
    r"\bby heart\b": "overfit",
    r"\brivals?\b": "baseline",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bbears?\b": "tolerate, support",
    r"\bhears?\b": "receive, get",
    r"\b(say|says|said|saying)\b": "print, show, state, describe",
    r"\bhand(s|ed|ing)? (out|over|on)\b": "return, pass",
    r"\bwho(ever|m)?\b": "name the person: the user, the caller",
    r"\banew\b": "again, from scratch",
    r"\btold apart\b": "distinguish",
    r"\bgives? way\b": "is replaced",
    r"\bin the place of\b": "instead of",
    r"\bsuch (a )?thing\b": "name the thing",
    r"\bcannot be meant\b": "invalid",
    r"\bdoes without\b": "does not need",
    r"\ball that\b": "everything, or name it",
    r"\bthat there (is|are)\b": "existing",
    r"\bis of (?!shape|rank|type|order|length|the same|another|size)": "belongs to",
    r"\bwhat(?!ever| to\b| is new| changed| a\b)[^.?:]{0,60}\?": "a statement",
    r"\bnot least\b|\ball the more\b|\bhence\b|\bthereof\b|\bwherein\b": "plain words",
    r"\bgoes? on\b": "continue",
    r"\bbegins? anew\b": "restart",
    r"\bphone's file\b": "TFLite file",
}
FIRST_WORDS = r"(What|Of|Whether|How|Where|Who|Whose|All that|That|Which)\b"
# Matches a colon that is followed by a verb. The part before the colon, such as a file name, should be the
# subject of the sentence.
HALF_SENTENCE = (
    r"^(?!error|note)[^:?]{0,80}: (is|are|was|has|have|had|needs?|cannot|holds?|belongs?|takes?|reads?|"
    r"comes?|does|begins?|names?|stands?|trains?|keeps?|lacks?|ranks?|hands?|decodes?|goes|shows?)\b"
)


@dataclass(frozen=True)
class Text:
    """A text with its file, its line and its kind: docstring, message, help, comment or page."""

    path: Path
    line: int
    kind: str
    text: str


def texts_of(path: Path) -> Iterator[Text]:
    """Yields every text of a Python file or a Markdown page."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from _page(path, source)
        return
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found = ast.get_docstring(node)
            if found:
                yield Text(path, getattr(node, "lineno", 1), "docstring", _prose(found))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            given = [*node.args, *(each.value for each in node.keywords if each.arg in ("help", "others"))]
            kind = "message" if name.endswith(("Error", "Diverged", "Interrupted")) else "help"
            if kind == "message" or name in (
                "option",
                "data_option",
                "Option",
                "application",
                "verb",
                "fail",
            ):
                for argument in given:
                    text = _literal(argument)
                    if text and " " in text:
                        yield Text(path, argument.lineno, kind, text)
        if isinstance(node, ast.Constant | ast.JoinedStr):
            text = _literal(node) or ""
            if text.startswith(("note: ", "error: ")):
                yield Text(path, node.lineno, "message", text)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("#!", "# type:", "# noqa")):
            yield Text(path, token.start[0], "comment", token.string.lstrip("# "))


def findings(text: Text) -> Iterator[str]:
    """Yields a message for each place in the text that breaks a rule."""
    plain = re.sub(r"``.*?``|`[^`]*`|\$[^$]*\$|\"[^\"]*\"|https?://\S+", "X", text.text)
    for pattern, instead in PHRASES.items():
        for found in re.finditer(pattern, plain, re.IGNORECASE):
            yield f"{found.group(0)!r}: write {instead}"
    if text.kind == "docstring" and re.match(FIRST_WORDS, plain):
        yield f"starts with {plain.split()[0]!r}: start with a verb or a noun phrase"
    if text.kind == "message" and re.search(HALF_SENTENCE, plain):
        yield "a verb after a colon: write a sentence whose subject is the option or the file"
    for sentence in sentences(plain):
        words = len(re.findall(r"[\w{}-]+", sentence))
        if words > LONGEST:
            yield f"{words} words in one sentence: {sentence[:60]!r}"


def sentences(text: str) -> list[str]:
    """Returns the sentences of a text, without citations in parentheses. A blank line ends a sentence."""
    text = re.sub(r"\((?:[^()]|\([^()]*\))*\d{4}[^()]*\)", "", text)
    text = re.sub(r"\b(e\.g|i\.e|et al|vs|cf|Eq|Sec|eq|approx)\.", r"\1", text)
    parts = re.split(r"(?<=[.!?:;])\s+(?=[^a-z])|(?<=[.;:])\s+|\n\s*\n|\n\s*[-*|>#]|\n\s*\d+\. ", text)
    return [part for part in parts if part.strip()]


def _prose(docstring: str) -> str:
    """Returns a docstring without its examples, its block formulas and the names of its arguments."""
    lines, example = [], False
    for line in docstring.splitlines():
        example = line.strip().startswith((">>>", "...")) or (example and bool(line.strip()))
        if example or (re.match(r"\s{8,}\S|\s*(\$\$|\.\. )", line) and re.search(r"[=*]|\$\$", line)):
            lines.append("")
        elif re.match(r"\s+\**\w+(, \**\w+)*: ", line) or re.match(
            r"(Args|Returns|Raises|Attributes):", line
        ):
            lines += ["", re.sub(r"^\s+\**\w+(, \**\w+)*: ", "", line)]
        else:
            lines.append(line)
    return "\n".join(lines)


def _page(path: Path, source: str) -> Iterator[Text]:
    """Yields the paragraphs of a page, without code, tables and quotations."""
    kept, code = [], False
    for line in source.splitlines():
        fence = line.lstrip().startswith(("```", "$$"))
        code = code ^ (
            fence
            and not (
                line.lstrip().startswith("$$") and line.rstrip().endswith("$$") and len(line.strip()) > 2
            )
        )
        blank = code or fence or line.lstrip().startswith(("|", ">", "<", "    "))
        kept.append("" if blank else re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", line))
    start = 1
    for number, line in enumerate([*kept, ""], 1):
        if line.strip() and not re.match(r"\s*([-*#]|\d+\.) ", line):
            continue
        block = "\n".join(kept[start - 1 : number - 1])
        if block.strip():
            yield Text(path, start, "page", block.lstrip("-*# "))
        start = number
    return


def _literal(node: ast.AST) -> str | None:
    """Returns the text of a string, with ``{}`` for each inserted value. Other nodes give None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (_literal(node.left) or "{}") + (_literal(node.right) or "{}")
    return None


def paths(*wanted: Path) -> list[Path]:
    """Returns the Python files and pages in the wanted files and folders, by default in the whole project."""
    roots = wanted or [ROOT / name for name in dict.fromkeys((*CODE, *PAGES))]
    found = {
        path
        for root in roots
        for path in ([root] if root.is_file() else root.rglob("*"))
        if path.suffix in (".py", ".md")
    }
    return sorted(found)


if __name__ == "__main__":
    wrong = [
        f"{text.path.resolve().relative_to(ROOT)}:{text.line}: {text.kind}: {finding}"
        for path in paths(*map(Path, sys.argv[1:]))
        for text in texts_of(path)
        for finding in findings(text)
    ]
    print(*wrong, f"{len(wrong)} findings", sep="\n")
    sys.exit(bool(wrong))
