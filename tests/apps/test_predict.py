"""``predict``: one record per line, in order, with the model's outputs; bad input and long streams."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps import stdin
from apps.sentiment.__main__ import main

ROOT = Path(__file__).parents[2]
TEXTS = [
    "Great plot, great cast",
    "dull",
    "",
    "the MUSIC was   awful!",
    "фильм 很好 🙂",
    "a\tb",
    "great " * 5000,
    "</s> <PAD>",
]


def by_hand(run, texts):
    """Yields class probabilities of each text, from the stored model and vocabulary only."""
    model = keras.models.load_model(run / "model.keras")
    vocabulary = (run / "assets" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    length = json.loads((run / "assets" / "lengths.json").read_text())["length"]
    index = {word: number for number, word in enumerate(vocabulary) if number > 3}
    for text in texts:
        # Sufficient for these texts: letters and digits form words, and an exclamation mark is a word.
        spaced = (letter if letter.isalnum() else {"!": " ! "}.get(letter, " ") for letter in text.lower())
        words = "".join(spaced).split()
        ids = [1, *(index.get(word, 2) for word in words)]
        if max(ids) <= 2:  # the text has no known word
            ids = [1]
        if len(ids) > length:  # keeps the start token, a quarter of the length from the front, and the end
            front = 1 + (length - 1) // 4
            ids = ids[:front] + ids[front - length :]
        yield tf.nn.softmax(model({"tokens": tf.constant([ids]), "lengths": tf.constant([len(ids)])}))[
            0
        ].numpy()


@pytest.fixture
def answers(trained, monkeypatch, capsys, tmp_path):
    """Returns a function that passes bytes to the stdin of ``predict --json`` and returns the records."""

    def predict(content):
        (tmp_path / "stdin").write_bytes(content)
        with open(tmp_path / "stdin") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            main(["predict", "--run", str(trained), "--json"])
        return [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]

    return predict


def test_probabilities_equal_the_model_called_by_hand(trained, invoke):
    result = invoke("predict", "--run", trained, "--json", "--", *TEXTS)
    note = (
        "note: 4 of 8 texts are empty or have only unknown words; "
        "the model reads each of them as an empty text\n"
    )
    assert (result.exit_code, result.stderr) == (0, note)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["text"] for record in records] == TEXTS
    for record, expected in zip(records, by_hand(trained, TEXTS), strict=True):
        np.testing.assert_allclose(list(record["probabilities"].values()), expected, atol=2e-6)
        assert list(record["probabilities"]) == ["bad", "good"]
        assert record["label"] == ["bad", "good"][expected.argmax()]
    assert [record["known_tokens"] for record in records] == [4, 1, 0, 4, 0, 0, 255, 0]


def test_without_json_each_line_has_label_probability_and_text(trained, invoke):
    lines = invoke("predict", "--run", trained, "great cast", "dull").stdout.splitlines()
    records = [
        json.loads(line)
        for line in invoke("predict", "--run", trained, "--json", "great cast", "dull").stdout.splitlines()
    ]
    for line, record in zip(lines, records, strict=True):
        label, probability, text = line.split("\t")
        assert (label, text) == (record["label"], record["text"])
        assert float(probability) == pytest.approx(max(record["probabilities"].values()), abs=5e-5)


def test_the_order_of_inputs_is_kept_across_chunks_and_batches(answers, trained, monkeypatch):
    monkeypatch.setattr(stdin, "LINES_AT_ONCE", 150)
    texts = [f"{'great ' * (number * 7 % 20)}{'dull ' * (number * 3 % 5)}{number}" for number in range(400)]
    records = answers("\n".join(texts).encode())
    assert [record["text"] for record in records] == texts
    expected = list(by_hand(trained, texts[::9]))
    assert np.std(expected, axis=0).min() > 1e-4  # if all were equal, any order would pass
    probabilities = [list(record["probabilities"].values()) for record in records[::9]]
    np.testing.assert_allclose(probabilities, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a\r\nb", ["a", "b"]),
        ("naïve\u2028line\x0bend\n".encode(), ["naïve\u2028line\x0bend"]),
    ],
    ids=["nothing", "empty line", "empty line between", "line ends", "no other line ends"],
)
def test_every_line_of_stdin_is_an_input(answers, content, texts):
    assert [record["text"] for record in answers(content)] == texts


def test_a_line_that_is_not_utf8_is_an_error_after_the_earlier_answers(answers, capsys, monkeypatch):
    monkeypatch.setattr(stdin, "LINES_AT_ONCE", 2)
    with pytest.raises(SystemExit) as end:
        answers(b"good\nfine\nso so\ncaf\xe9 bad\nnever read\n")
    assert end.value.code == 1
    printed = capsys.readouterr()
    assert [json.loads(line)["text"] for line in printed.out.splitlines()] == ["good", "fine", "so so"]
    place = "stdin:4: byte 3 of the line is 0xe9"
    assert (
        printed.err == f"error: {place}, which is not UTF-8 text; convert the input, for example with iconv\n"
    )


def command(run):
    return [sys.executable, "-m", "apps.sentiment", "predict", "--run", str(run)]


def test_answers_are_immediate_and_a_closed_stdout_ends_predict_without_error(trained):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(trained), cwd=ROOT, env=buffered, **pipes) as process:
        process.stdin.write(b"great cast\n")
        process.stdin.flush()
        answered, _, _ = select.select([process.stdout], [], [], 120)
        if not answered:
            process.kill()
        assert process.stdout.readline().endswith(b"\tgreat cast\n")
        process.stdout.close()  # like `head -1`
        process.stdin.write(b"dull plot\n")
        process.stdin.flush()  # stdin stays open: predict must not wait for its end
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_stream(trained, tmp_path):
    peaks = {}
    for count in (20_000, 200_000):
        with open(tmp_path / "lines", "w") as file:
            file.writelines(
                f"the plot was {'really ' * (number % 9)}great {number}\n" for number in range(count)
            )
        with open(tmp_path / "lines", "rb") as lines, open(tmp_path / "answers", "wb") as out:
            process = subprocess.Popen(command(trained), cwd=ROOT, stdin=lines, stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        with open(tmp_path / "answers", "rb") as out:
            assert sum(1 for _ in out) == count
        peaks[count] = usage.ru_maxrss * 1024
    assert peaks[200_000] - peaks[20_000] < 100e6


def test_an_argument_that_is_not_text_is_an_error(trained, invoke, one_line):
    line = one_line(invoke("predict", "--run", trained, "good", os.fsdecode(b"caf\xe9")), 2)
    assert "input 2 is not UTF-8 text" in line
