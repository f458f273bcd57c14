"""Translates texts with a .tflite file. Requires only NumPy and ai_edge_litert, the TFLite interpreter.

    python translate.py model.tflite "Text"

``settings.json``, ``source_vocab.txt`` and ``target_vocab.txt`` must be in the folder of the .tflite file.
``golden.json`` contains texts and their expected outputs. A port to another programming language needs the
same three parts: the conversion of text to ids (`Translator.ids`), the loop over steps
(`Translator.translate`), and the conversion of ids to text (`Translator.join`).
"""

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

START, UNKNOWN, END = 1, 2, 3
MARK = "\u2581"  # first character of every word that follows white space
LONGEST_WORD = 100  # longer words become UNKNOWN
# The Unicode names of Han characters (other than punctuation) start with one of these strings.
HAN = (
    "CJK",
    "IDEOGRAPHIC ITERATION",
    "IDEOGRAPHIC NUMBER",
    "HANGZHOU",
    "VERTICAL IDEOGRAPHIC",
    "OLD CHINESE",
)


class Translator:
    """Translates texts with greedy search: each step chooses the most probable token."""

    def __init__(self, path: str | Path):
        path = Path(path)
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        self.encode, self.step = (interpreter.get_signature_runner(name) for name in ("encode", "step"))
        self.settings = json.loads((path.parent / "settings.json").read_text(encoding="utf-8"))
        source, self.target = (
            (path.parent / f"{side}_vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
            for side in ("source", "target")
        )
        self.source = {token: index for index, token in enumerate(source) if index > END}

    def __call__(self, text: str) -> str:
        ids = self.ids(text)
        return self.join(self.translate(ids)) if len(ids) > 1 else ""  # a text without words has only END

    def translate(self, ids: list[int]) -> list[int]:
        """Converts the ids of a source text to the ids of its translation, one token per step."""
        source = np.zeros((1, self.settings["length"]), np.int32)
        source[0, : len(ids)] = ids
        memory = self.encode(source=source)
        states, token, found = memory.pop("states"), START, []
        for _ in range(2 * len(ids) + 10):
            result = self.step(token=np.array([token], np.int32), states=states, **memory)
            states, probabilities = result["states"], result["probabilities"][0]
            token = END + int(np.argmax(probabilities[END:]))  # ids below END are not text
            if token == END:
                break
            found.append(token)
        return found

    def ids(self, text: str) -> list[int]:
        """Converts text to ids that end with END.

        With the unit "wordpiece", each word is split into parts from left to right. Each part is as long as
        possible, but must be in the vocabulary. With the unit "word", each word has one id. A text that is
        too long is truncated.
        """
        if self.settings["lowercase"]:
            text = text.lower()
        ids = [piece for word in self.words(text) for piece in self.pieces(word)]
        return [*ids[: self.settings["length"] - 1], END]

    def words(self, text: str) -> list[str]:
        """Splits text into words.

        Every punctuation mark, symbol and Han character is a separate word. White space is removed. The first
        word and every word after white space start with ``MARK``.
        """
        words: list[str] = []
        space, joins = True, False
        for character in text:
            category = unicodedata.category(character)
            if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
                continue
            if category[0] == "Z" or category == "Cc" or character in (MARK, "\ue000"):
                space = True
                continue
            alone = category[0] in "PS" or unicodedata.name(character, "").startswith(HAN)
            if joins and not alone and not space:
                words[-1] += character
            else:
                words.append(MARK * space + character)
            space, joins = False, not alone
        return words

    def pieces(self, word: str) -> list[int]:
        if self.settings["unit"] == "word":
            return [self.source.get(word, UNKNOWN)]
        if len(word) > LONGEST_WORD:
            return [UNKNOWN]
        ids, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = "##" * (start > 0) + word[start:end]
                if piece in self.source:
                    break
            else:
                return [UNKNOWN]
            ids.append(self.source[piece])
            start = end
        return ids

    def join(self, ids: list[int]) -> str:
        tokens = [self.target[index] for index in ids]
        if self.settings["unit"] == "wordpiece":
            tokens = [token.removeprefix("##") for token in tokens]
        return "".join(tokens).replace(MARK, " ").strip(" ")


if __name__ == "__main__":
    translator = Translator(sys.argv[1])
    for line in sys.argv[2:]:
        print(translator(line))
