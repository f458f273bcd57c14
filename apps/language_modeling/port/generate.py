"""Continues a text with a TFLite file, by default model.tflite.

python generate.py "the market" [TEMPERATURE [SEED [TOKENS [FILE]]]]
"""

import json
import re
import sys
from pathlib import Path
from unicodedata import category, name

import numpy as np
from ai_edge_litert.interpreter import Interpreter

FOLDER = Path(__file__).parent
PAD, START, UNKNOWN, END = range(4)
LONGEST_WORD = 100
# The Unicode name of every Han letter and Han numeral starts with one of these strings.
HAN = (
    "CJK",
    "IDEOGRAPHIC ITERATION",
    "IDEOGRAPHIC NUMBER",
    "HANGZHOU",
    "VERTICAL IDEOGRAPHIC",
    "OLD CHINESE",
)


def choose(logits, temperature, number):
    """Returns the most probable token if the temperature is 0, otherwise a sampled token.

    Sampling maps the random number in [0, 1) to a token by the inverse cumulative distribution. The tokens
    are sorted from the most to the least probable.
    """
    logits = logits.astype(np.float64)
    logits[[PAD, START, UNKNOWN]] = -np.inf
    order = np.argsort(-logits, kind="stable")
    if not temperature:
        return int(order[0])
    weights = np.exp((logits[order] - logits[order[0]]) / temperature)
    cumulative = np.cumsum(weights / weights.sum())
    return int(order[np.sum(cumulative[:-1] <= number * cumulative[-1])])


def generate(file, prompt, temperature, numbers):
    """Continues a prompt of token ids. Yields one token id per random number in ``numbers``."""
    step = Interpreter(model_path=str(FOLDER / file)).get_signature_runner("step")
    details = step.get_input_details()["state"]
    beginning = END if np.issubdtype(details["dtype"], np.integer) else 0
    state = np.full(details["shape"], beginning, details["dtype"])
    for token in [END, *prompt]:
        result = step(tokens=np.array([token], np.int32), state=state)
        state = result["state"]
    for number in numbers:
        token = choose(result["logits"][0], temperature, number)
        yield token
        result = step(tokens=np.array([token], np.int32), state=state)
        state = result["state"]


class Text:
    """Converts text to ids and back.

    The constructor takes the vocabulary from vocab.txt, and the tokenizer settings from golden.json.
    """

    def __init__(self, vocabulary, unit, split, lowercase, rewrites=(), unspaced=""):
        self.vocabulary, self.unit, self.split, self.lowercase = vocabulary, unit, split, lowercase
        self.rewrites, self.unspaced = rewrites, unspaced
        self.numbers = {token: index for index, token in enumerate(vocabulary) if index > END}

    def ids(self, text):
        """Returns the ids of all lines in one list, with END between the lines."""
        lines = re.split("\r\n?|\n", text)
        return [index for line in lines for index in [*self.of_line(line), END]][:-1]

    def of_line(self, line):
        if self.unit == "byte":
            content = line.encode()
            return [END + 1 + byte for byte in (content.lower() if self.lowercase else content)]
        line = "".join(" " if character < " " else character for character in line)
        line = line.lower() if self.lowercase else line
        if self.unit == "character":
            return [self.numbers.get(character, UNKNOWN) for character in line]
        line = "".join(map(self.spaced, line))
        if self.split == "auto":
            line = re.sub(
                " +", "  ", line
            )  # two spaces, so that each of two adjacent words has its own space
            for pattern, replacement in self.rewrites:
                line = re.sub(pattern, replacement, line)
        words = line.split(" ")
        return [index for word in words if word for index in self.pieces(word)]

    def spaced(self, character):
        """Returns the text that replaces a character. A space in this text separates two words."""
        kind = category(character)
        if self.split == "letters":
            return character if kind[0] in "LNM" or character == "'" else " "
        if kind[0] == "Z" or kind == "Cc" or (self.split == "auto" and character == "\u200b"):
            return " "
        if self.split == "punctuation" and (kind == "Cf" or "\ufe00" <= character <= "\ufe0f"):
            return ""
        alone = self.split == "punctuation" and (kind[0] in "PS" or name(character, "").startswith(HAN))
        return f" {character} " if alone else character

    def pieces(self, word):
        """Returns the ids of a word.

        If the unit is wordpiece, the word is split into its longest pieces, from left to right.
        """
        if self.unit == "word":
            return [self.numbers.get(word, UNKNOWN)]
        found: list[int] = []
        rest = word
        while rest and len(word) <= LONGEST_WORD and word != "<unk>" and word[:2] != "##":
            prefix = "##" if found else ""
            fits = (end for end in range(len(rest), 0, -1) if prefix + rest[:end] in self.numbers)
            end = next(fits, 0)
            if not end:
                return [UNKNOWN]
            found.append(self.numbers[prefix + rest[:end]])
            rest = rest[end:]
        return found or [UNKNOWN]

    def of_ids(self, ids):
        """Converts ids to text in UTF-8. Unknown tokens become <unk>."""
        if self.unit == "byte":
            return b"".join(b"\n" if index == END else bytes([index - END - 1]) for index in ids)
        special = {UNKNOWN: "<unk>", END: "\n"}
        tokens = [special.get(index, self.vocabulary[index]) for index in ids]
        if self.unit == "character":
            return "".join(tokens).encode()
        text = " ".join(tokens)
        text = text.replace(" ##", "") if self.unit == "wordpiece" else text
        if self.split == "auto":
            text = re.sub(f"([{self.unspaced}]) (?=[{self.unspaced}])", r"\1", text)
        return re.sub(" ?\n ?", "\n", text).encode()


if __name__ == "__main__":
    given, temperature, seed, count, file = (
        *sys.argv[1:],
        *("", "0", "0", "50", "model.tflite")[len(sys.argv) - 1 :],
    )
    text = Text(
        (FOLDER / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1],
        **json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))["tokens"],
    )
    prompt = text.ids(given)
    numbers = np.random.default_rng(int(seed)).random(int(count))
    whole = text.of_ids([*prompt, *generate(file, prompt, float(temperature), numbers)])
    shown = given if text.unit in ("character", "byte") else given.rstrip(" \t")
    print(shown + whole[len(text.of_ids(prompt)) :].decode("utf-8", "replace"))
