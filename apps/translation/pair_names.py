"""Finds a language or a side (source or target) in the name of a column or a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.compression import plain_name
from seqmodels.data.splits import SPLIT_NAMES, WHOLE

# Names of the source column and the target column, as (source, target).
SIDES = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("source_text", "target_text"),
    ("source_sentence", "target_sentence"),
    ("source text", "target text"),
    ("source sentence", "target sentence"),
)
# All two-letter codes of ISO 639-1, and three-letter codes of the languages with the largest corpora.
_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee
el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is
it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms
mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk
sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi
yo za zh zu ara ben bul cat ces cmn cze dan deu dut ell eng est eus fas fin fra fre ger gre heb hin hrv hun
ind isl ita jpn kat kor lat lav lit mkd msa nld nob nor per pol por ron rum rus slk slo slv spa sqi srp swa
swe tam tel tgl tha tur ukr urd vie yue zho
"""
_NAMES = """
afrikaans albanian amharic arabic armenian azerbaijani basque belarusian bengali bosnian bulgarian burmese
cantonese catalan chinese croatian czech danish dutch english esperanto estonian filipino finnish french
galician georgian german greek gujarati hausa hebrew hindi hungarian icelandic igbo indonesian irish italian
japanese javanese kannada kazakh khmer korean kurdish lao latin latvian lithuanian macedonian malay
malayalam maltese mandarin marathi mongolian nepali norwegian pashto persian polish portuguese punjabi
romanian russian serbian sinhala slovak slovenian somali spanish swahili swedish tagalog tamil telugu thai
tibetan turkish ukrainian urdu uzbek vietnamese welsh wolof xhosa yoruba zulu
"""
CODES, LANGUAGES = set(_CODES.split()), set(_NAMES.split())
WORDS = re.compile(r"[\W_]+")
REGION = re.compile(r"([a-z]{2,3})[-_]([a-z]{2}|[a-z]{4}|\d{3})")  # en-US, zh_Hans, es-419


def is_language(name: str) -> bool:
    """Returns True if ``name``, a column name or a file extension, contains a language.

    >>> [is_language(name) for name in ("en", "pt-BR", "text_de", "French", "label", "Close")]
    [True, True, True, True, False, False]
    """
    plain = name.strip().lower()
    region = REGION.fullmatch(plain)
    if plain in CODES or plain in LANGUAGES or (region and region[1] in CODES):
        return True
    words = [word for word in WORDS.split(plain) if word]
    named = [word for word in words if word in LANGUAGES]
    return bool(named) or (len(words) > 1 and words[-1] in CODES and words[-1] not in ("no", "id", "to"))


def is_side(name: str) -> bool:
    """Returns True if a name means the source or the target, such as ``src`` or ``target``."""
    return name in {side for pair in SIDES for side in pair}


@dataclass(frozen=True)
class TextFile:
    """A file with the texts of one language of a parallel corpus.

    Attributes:
        path: path of the file.
        language: language of the texts, such as ``en``, or their side, such as ``src``. This is the file
            extension or a word of the file name.
        split: name of the split, or `WHOLE` if the file name contains no split.
        exact: True if the name consists only of the split and the language, such as ``train.en``.
        corpus: the file name without ``split`` and ``language``. Two files with the same value belong to the
            same corpus.
    """

    path: Path
    language: str
    split: str
    exact: bool
    corpus: str


def text_file(path: Path) -> TextFile | None:
    """Reads the language and the split from the name of a file.

    Examples of names are ``train.en``, ``News.en-fr.en``, ``train.en-fr.en`` and ``src-train.txt``. Returns
    None if the name contains no language.

    >>> found = text_file(Path("src-val.txt.gz"))
    >>> found.language, found.split, found.exact
    ('src', 'valid', False)
    """
    plain = plain_name(path)
    stem, _, extension = plain.rpartition(".")
    splits = {name: split for split, each in SPLIT_NAMES.items() for name in each}
    if stem in splits and extension != "txt":
        return TextFile(path, path.name[len(stem) + 1 :][: len(extension)], splits[stem], True, "")
    words = [word for word in WORDS.split(stem) if word]
    if extension == "txt":
        languages = [word for word in words if is_side(word)] or [word for word in words if word in CODES]
        if len(languages) != 1:
            return None
        language = languages[0]
        words.remove(language)
    elif is_language(extension) or is_side(extension):
        language = extension
    else:
        return None
    found = [splits[word] for word in words if word in splits]
    split = found[0] if found else WHOLE
    return TextFile(path, language, split, False, " ".join(word for word in words if word not in splits))


def by_split(files: Iterable[TextFile]) -> tuple[dict[str, dict[str, Path]], list[str], list[str]]:
    """Groups files by split and language.

    A file name is exact if it consists only of the split and the language. Files with exact names are
    preferred to other files. Files without a split in their name are used only if no file name contains a
    split.

    Two files conflict if they have the same split and language, and neither file is preferred. If neither
    name is exact, but another name in ``files`` is exact, the split of the two files is skipped. In all other
    cases, the caller must report the conflict as an error.

    Returns:
        Three values: the paths ``{split: {language: path}}``, the conflicts to report, and the conflicts
        whose split is skipped. Each conflict is a text such as ``a.train.en and b.train.en``.
    """
    files = list(files)
    named = [file for file in files if file.split != WHOLE]
    chosen: dict[str, dict[str, TextFile]] = {}
    conflicts: list[str] = []
    left_out: dict[str, str] = {}
    any_exact = any(file.exact for file in named)
    for file in sorted(named or _with_partner(files), key=lambda file: not file.exact):
        sides = chosen.setdefault(file.split, {})
        if file.language not in sides:
            if not file.exact and any(other.exact for other in sides.values()):
                continue
            sides[file.language] = file
        elif file.exact == sides[file.language].exact:
            pair = f"{sides[file.language].path.name} and {file.path.name}"
            if any_exact and not file.exact:
                left_out.setdefault(file.split, pair)
            else:
                conflicts.append(pair)
    paths = {
        split: {language: file.path for language, file in sides.items()}
        for split, sides in chosen.items()
        if split not in left_out
    }
    return paths, conflicts, list(left_out.values())


def _with_partner(files: list[TextFile]) -> list[TextFile]:
    """Returns the files that have a partner: a file in another language with the same ``corpus``."""
    languages: dict[str, set[str]] = {}
    for file in files:
        languages.setdefault(file.corpus, set()).add(file.language)
    return [file for file in files if len(languages[file.corpus]) > 1]
