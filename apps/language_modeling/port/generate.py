"""Continues a text with model.tflite: python generate.py "the market" [TEMPERATURE [SEED [TOKENS [FILE]]]]"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

FOLDER = Path(__file__).parent
PAD, START, UNKNOWN, END = range(4)


def choose(logits, temperature, number):
    """The likeliest token, or the one that a number in [0, 1) stands for: inverse cumulative distribution."""
    logits = logits.astype(np.float64)
    logits[[PAD, START, UNKNOWN]] = -np.inf
    order = np.argsort(-logits, kind="stable")
    if not temperature:
        return int(order[0])
    weights = np.exp((logits[order] - logits[order[0]]) / temperature)
    cumulative = np.cumsum(weights / weights.sum())
    return int(order[np.sum(cumulative[:-1] <= number * cumulative[-1])])


def generate(file, prompt, temperature, numbers):
    """Token ids after the ids of a prompt, one for each number."""
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


if __name__ == "__main__":
    vocabulary = (FOLDER / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    unit = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))["unit"]
    text, temperature, seed, count, file = (
        *sys.argv[1:],
        *("", "0", "0", "50", "model.tflite")[len(sys.argv) - 1 :],
    )
    ids = {token: index for index, token in enumerate(vocabulary)}
    prompt = [ids.get(token, UNKNOWN) for token in (text if unit == "character" else text.split())]
    numbers = np.random.default_rng(int(seed)).random(int(count))
    tokens = [vocabulary[token] for token in generate(file, prompt, float(temperature), numbers)]
    separator = "" if unit == "character" else " "
    print(text + separator + separator.join(tokens).replace("<END>", "\n"))
