"""The effect of attention on the grammar, whose alignments are known. Slow: two trainings of minutes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from apps.translation.__main__ import main

LONG = "from 31"  # name of the group of the longest sentences: at least 31 source words


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Scores of the quick preset, with attention and without."""
    found = {}
    for attention in ("general", "none"):
        folder = tmp_path_factory.mktemp("runs") / attention
        run("train", "--preset", "quick", "--attention", attention, "--run", folder)
        found[attention] = json.loads(run("evaluate", "--run", folder, "--beam", 1, "--json"))["model"]
    return found


@pytest.mark.slow
def test_attention_finds_the_alignments_of_the_grammar(scores):
    rates = scores["general"]["alignment_error_rate"]
    assert rates["attention"] < 0.25
    assert "alignment_error_rate" not in scores["none"]


@pytest.mark.slow
def test_attention_beats_no_attention_on_long_sentences(scores):
    bleu = {
        attention: {group["name"]: group["bleu"] for group in each["by_length"]}[LONG]
        for attention, each in scores.items()
    }
    assert bleu["general"] > bleu["none"] + 10
