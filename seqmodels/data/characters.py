"""Regular expressions for a tokenizer with ``split="auto"``.

With this option, the tokenizer separates some characters from their neighbours and keeps emoticons. The
regular expressions match these characters and emoticons. They have the syntax of RE2. They list code points
instead of Unicode properties. All regular expression engines (RE2, Java, Swift, Python) therefore find the
same characters in any Unicode version.
"""

import re

# Scripts without spaces between words. With split="auto", every character in these ranges becomes a word.
# The ranges do not contain the currency signs of the scripts.
UNSPACED = {
    "Han": r"\x{2E80}-\x{2FDF}\x{3005}-\x{3007}\x{3021}-\x{3029}\x{3038}-\x{303B}\x{3400}-\x{4DBF}"
    r"\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{3FFFD}",
    "Kana": r"\x{3031}-\x{3035}\x{303C}\x{3041}-\x{30FF}\x{31F0}-\x{31FF}\x{FF66}-\x{FF9F}"
    r"\x{1AFF0}-\x{1B16F}",
    "Thai": r"\x{E01}-\x{E3A}\x{E40}-\x{E5B}",
    "Lao": r"\x{E81}-\x{EDF}",
    "Khmer": r"\x{1780}-\x{17DA}\x{17DC}-\x{17F9}\x{19E0}-\x{19FF}",
    "Burmese": r"\x{1000}-\x{109F}\x{A9E0}-\x{A9FE}\x{AA60}-\x{AA7F}",
}
# Other scripts without spaces between words. split="auto" does not separate their characters, so the notes
# about such texts do not recommend it.
UNCUT = {
    "Tibetan": r"\x{F00}-\x{FFF}",
    "Tai Le": r"\x{1950}-\x{197F}",
    "New Tai Lue": r"\x{1980}-\x{19DF}",
    "Tai Tham": r"\x{1A20}-\x{1AAF}",
    "Balinese": r"\x{1B00}-\x{1B7F}",
    "Yi": r"\x{A000}-\x{A4CF}",
    "Javanese": r"\x{A980}-\x{A9DF}",
    "Tai Viet": r"\x{AA80}-\x{AADF}",
}
CUT = "".join(UNSPACED.values())
WIDE_PUNCTUATION = (
    r"\x{3001}-\x{3003}\x{3008}-\x{3020}\x{3030}\x{303D}-\x{303F}"
    r"\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF20}\x{FF3B}-\x{FF40}\x{FF5B}-\x{FF65}"
)

# Exclamation and question marks of all scripts.
MARKS = (
    r"!?\x{A1}\x{BF}\x{55C}\x{55E}\x{61F}\x{1367}\x{203C}\x{203D}\x{2047}-\x{2049}\x{2E2E}"
    r"\x{FE56}\x{FE57}\x{FF01}\x{FF1F}"
)
FLAG_LETTER = r"\x{1F1E6}-\x{1F1FF}"  # two of these letters are displayed as one flag
EMOJI = (
    r"\x{2190}-\x{21FF}\x{2300}-\x{23FF}\x{25A0}-\x{27BF}\x{2900}-\x{297F}\x{2B00}-\x{2BFF}"
    r"\x{3030}\x{303D}\x{3297}\x{3299}\x{1F000}-\x{1FAFF}"
)
JOINERS = r"\x{200D}\x{FE00}-\x{FE0F}"  # characters that combine emoji or select their appearance

# Emoticons that may follow a word directly, such as :) =( ;-) :'( :/ and :|
FACE = r"[;:=][\-o^']?[()/\\|*]"
# Emoticons that must stand alone, such as :P :3 xD 8) (: <3 ^_^ -_- >.< o_O and T_T
ALONE = (
    r"[;:=][\-o^']?[\[\]{}dDpPoO03sScC@$#]|[8xX][\-o^']?[()\[\]dDpP]|[(\[{][\-o^']?[;:=]|</?3+"
    r"|[\^><;=\-][_.,]+[\^><;=\-]|[oOtTuUxX0]_+[oOtTuUxX0]|[oO]\.[oO]|\^\^"
)
EMOTICON_END = r"$|[ .,!?<\x{22}\x{2026}]"  # an emoticon must be followed by one of these

# Pairs of a regular expression and its replacement. A tokenizer with split="auto" applies them first. They
# put two spaces between words. A match can include the space before a word and the space after it. With two
# spaces, the next word still has a space of its own.
CUTS = (
    (r"[\pZ\p{Cc}\x{200B}]+", "  "),
    (f"(?:({FACE})([()]*)|(?:^| )({ALONE}))({EMOTICON_END})", r"  \1\3  \2  \4 "),
    (f"([{FLAG_LETTER}]{{2}}|[{MARKS}{EMOJI}{CUT}{WIDE_PUNCTUATION}])[{JOINERS}]*", r"  \1  "),
)
# The last replacement of a tokenizer with split="auto" and base="letters": a regular expression and the text
# that replaces each match. The replacement keeps all characters that split="letters" keeps. It also keeps
# exclamation marks, question marks, emoji, and emoticons between two spaces.
LETTERS_LEFT = (f"(?:^| )({FACE}|{ALONE})(?: |$)|([{MARKS}{EMOJI}]+)|[^\\pL\\pN\\pM']", r" \1\2 ")


def in_python(pattern: str) -> str:
    r"""Converts the code points of a pattern to the syntax of Python's ``re``.

    >>> in_python(r"[\x{E01}-\x{E3A}]")
    '[\\U00000e01-\\U00000e3a]'
    """
    return re.sub(r"\\x\{(\w+)\}", lambda code: f"\\U{int(code[1], 16):08x}", pattern)
