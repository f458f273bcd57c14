"""The command line: help without TensorFlow, one-line errors, and cases that ``train`` refuses."""

import io
import json
import os
import sys

import click
import pytest

import apps.cli
from apps import runner
from apps.run import Run
from apps.sentiment.__main__ import main
from apps.sentiment.options import Train
from seqmodels.errors import DataError, UsageError, UserError

VERBS = ("train", "tune", "evaluate", "predict", "export", "convert", "info")
HEAVY = ("tensorflow", "keras", "numpy", "sklearn", "scipy", "matplotlib", "rich", "optuna")
PROBE = f"""
import json, sys
from apps.sentiment.__main__ import main
try:
    status = main(sys.argv[1:], prog_name="sentiment")
except SystemExit as end:
    status = end.code
print(json.dumps([status, [name for name in {HEAVY} if name in sys.modules]]), file=sys.stderr)
"""


@pytest.fixture(scope="session")
def probe(fresh_python):
    """Returns exit status, loaded packages, stdout, stderr lines and CPU seconds of a fresh process."""

    def run(*arguments):
        done, seconds = fresh_python(PROBE, *arguments)
        *messages, last = done.stderr.splitlines()
        return [*json.loads(last), done.stdout, messages, seconds]

    return run


@pytest.fixture
def without_tensorflow(monkeypatch):
    """Fails the test if the command line imports TensorFlow."""
    monkeypatch.setattr(apps.cli, "import_tensorflow", lambda: pytest.fail("TensorFlow is imported"))


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)], ids=["app", *VERBS])
def test_help_is_fast_and_imports_no_heavy_package(arguments, probe):
    status, loaded, output, messages, seconds = probe(*arguments, "--help")
    assert (status, loaded, messages) == (0, [], [])
    assert "Usage: sentiment" in output
    assert seconds < 1


@pytest.mark.parametrize(
    "arguments", [["train", "--epochs", "0"], ["train", "--data", "no/such.csv"], ["info", "--run", "no"]]
)
def test_usage_errors_are_fast_and_import_no_heavy_package(arguments, probe):
    status, loaded, output, messages, seconds = probe(*arguments)
    assert (status, loaded, output, len(messages)) == (2, [], "", 1)
    assert seconds < 1


@pytest.mark.parametrize("verb", VERBS)
def test_help_describes_every_flag(invoke, verb):
    shown = invoke(verb, "-h").output
    for parameter in main.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[0] in shown
    assert "--debug" in shown


USAGE_ERRORS = [
    (["train", "--epochs", "0"], "'--epochs': '0' is out of range; expected a number at least 1"),
    (["train", "--epochs", "2.5"], "'--epochs': '2.5' is not a valid integer"),
    (
        ["train", "--learning-rate", "nan"],
        "'--learning-rate': 'nan' is out of range; expected a number at least 0",
    ),
    (["train", "--learning-rate", "inf"], "'inf' is out of range"),
    (["train", "--learning-rate", "-0.1"], "'-0.1' is out of range"),
    (["train", "--learning-rate", "none"], "'none' is not a valid number."),
    (["train", "--dropout", "1"], "'1' is out of range; expected a number at least 0 and at most 0.99"),
    (["train", "--dropout", "a\nb"], "is not a valid number"),
    (["train", "--patience", "0"], "'0' is out of range"),
    (["train", "--patience", "never"], "'never' is not a valid integer or 'none'"),
    (["train", "--clipnorm", "nan"], "'nan' is out of range"),
    (["train", "--clip-by", "norm"], "'norm' is not one of 'global', 'variable', 'value'"),
    (["train", "--cell", "transformer"], "'transformer' is not one of 'rnn', 'irnn', 'lstm'"),
    (["train", "--preset", "fast"], "'fast' is not one of 'quick', 'default', 'best'"),
    (
        ["train", "--pooling", "max+median"],
        "--pooling 'median' is unknown; use last, mean, max, attention",
    ),
    (["train", "--data", "no/such.csv"], "--data no/such.csv does not exist; pass a file"),
    (["train", "--embeddings", "no.txt"], "--embeddings no.txt does not exist; pass glove:50d or a file"),
    (["train", "--epoch", "3"], "No such option '--epoch'"),
    (["train", "stray"], "unexpected extra argument (stray)"),
    (["train", "--units"], "Option '--units' requires an argument"),
    (["classify"], "No such command 'classify'"),
    (["evaluate", "--data", "no/such.csv"], "--data no/such.csv does not exist"),
    (["evaluate", "--run", "no/run"], "no run found at no/run"),
    (["predict", "--run", "no/run", "a text"], "no run found at no/run"),
    (["info", "--run", "no/run"], "no run found at no/run"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE_ERRORS)
def test_usage_errors_are_one_line_with_value_and_expectation(
    invoke, one_line, without_tensorflow, arguments, message
):
    assert message in one_line(invoke(*arguments), 2)


def test_the_default_run_is_named_after_the_task(invoke, one_line, without_tensorflow, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for verb in ("evaluate", "predict", "info"):
        assert "no run found at saved_models/sentiment" in one_line(invoke(verb), 2)


def test_no_verb_shows_the_help(invoke):
    result = invoke()
    assert result.exit_code == 2
    assert "Commands:" in result.output


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stdin", [Terminal(), None], ids=["terminal", "closed"])
def test_predict_without_input_is_an_error(without_tensorflow, monkeypatch, capsys, trained, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(SystemExit) as end:
        main(["predict", "--run", str(trained)])
    assert end.value.code == 2
    expected = (
        "error: no input to predict; pass the inputs as arguments, as lines of stdin, or in a file with "
        "--data\n"
    )
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("a.csv:3: no label; add it"), 1, "error: a.csv:3: no label; add it\n"),
        (UserError("fix it"), 1, "error: fix it\n"),
        (UsageError("ask for less"), 2, "error: ask for less\n"),
        (KeyError("lost"), 1, "error: KeyError: 'lost' (use --debug to see the stack trace)\n"),
        (
            ValueError("first line\nsecond line"),
            1,
            "error: ValueError: first line (use --debug to see the stack trace)\n",
        ),
        (AssertionError(), 1, "error: AssertionError:  (use --debug to see the stack trace)\n"),
        (KeyboardInterrupt(), 1, "error: interrupted\n"),
    ],
)
def test_errors_are_one_line_and_debug_shows_the_stack_trace(
    invoke, monkeypatch, reviews, error, status, message
):
    def fail(*_):
        raise error

    monkeypatch.setattr(runner, "train", fail)
    result = invoke("train", "--data", reviews)
    assert (result.exit_code, result.stderr, result.stdout) == (status, message, "")
    if not isinstance(error, KeyboardInterrupt):
        result = invoke("train", "--data", reviews, "--debug")
        assert (result.exit_code, result.stdout) == (status, "")
        assert result.stderr.startswith("Traceback")
        assert "in fail\n" in result.stderr
        assert result.stderr.endswith(f"\n{message}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--preset=quick"], {"preset": "quick", **Train.presets["quick"]}),
        (
            ["--preset=quick", f"--units={Train().units}"],
            {"preset": "quick", **Train.presets["quick"], "units": Train().units},
        ),
        (["--no-xla", "--patience=none", "--residual"], {"xla": False, "patience": None, "residual": True}),
    ],
    ids=["defaults", "preset", "a default set explicitly", "switches and none"],
)
def test_explicit_options_win_over_the_preset_and_the_preset_over_defaults(
    invoke, monkeypatch, arguments, expected
):
    seen = []
    monkeypatch.setattr(runner, "train", lambda task, options: seen.append((task, options)))
    assert invoke("train", *arguments).exit_code == 0
    assert seen == [("sentiment", Train(run="saved_models/sentiment", **expected))]


def test_onednn_is_enabled_unless_the_user_disables_it(monkeypatch):
    for given, kept in ((None, "1"), ("0", "0")):
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
        if given:
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
        apps.cli.import_tensorflow()
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == kept


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_is_not_trained_again(invoke, one_line, trained, reviews, tiny):
    before = snapshot(trained)
    message = one_line(invoke("train", "--data", reviews, "--run", trained, *tiny), 1)
    assert f"{trained} is a finished run" in message
    assert "--overwrite" in message
    assert "--run DIR" in message
    assert snapshot(trained) == before


def test_a_run_in_use_is_not_trained(invoke, one_line, reviews, tiny, tmp_path):
    with Run(tmp_path / "run").locked():
        result = invoke("train", "--data", reviews, "--run", tmp_path / "run", *tiny)
    assert "is being trained by another process" in one_line(result, 1)
    assert os.listdir(tmp_path / "run") == [".lock"]


def test_a_folder_that_cannot_be_written_is_an_error(invoke, one_line, reviews, tmp_path):
    (tmp_path / "file").write_text("")
    result = invoke("train", "--data", reviews, "--run", tmp_path / "file")
    assert f"{tmp_path}/file cannot be written" in one_line(result, 1)


def test_overwrite_deletes_only_runs(invoke, one_line, reviews, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    result = invoke("train", "--data", reviews, "--run", tmp_path, "--overwrite")
    assert (
        "'thesis.txt', which does not belong to a run; --overwrite deletes only the files of a run"
        in one_line(result, 1)
    )
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_failed_reading_of_data_does_not_block_the_run(invoke, one_line, reviews, tiny, tmp_path):
    (tmp_path / "bad.csv").write_text("text,points\nfine,5\n")
    run = ["--run", tmp_path / "run"]
    assert (
        "bad.csv has no column 'label'; found 'text', 'points'; choose the column with --label"
        in one_line(invoke("train", "--data", tmp_path / "bad.csv", *run), 1)
    )
    result = invoke("train", "--data", reviews, *run, *tiny, "--epochs=1")
    assert result.exit_code == 0, result.stderr


def test_dry_run_estimates_the_training_and_writes_nothing(invoke, reviews, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    result = invoke("train", "--data", reviews, *tiny, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert os.listdir(tmp_path) == []
    rows = [line.strip("│").split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    shown = {name.strip(): value.strip() for name, value in rows}
    assert json.loads(shown["counts"]) == {"train": 48, "valid": 12, "test": 12}
    assert json.loads(shown["classes"]) == {"bad": 24, "good": 24}
    # The 9 tokens are <START>, four words, "really" twice, "number" and the number.
    assert json.loads(shown["tokens of a text"])["100%"] == 9
    assert shown["steps in an epoch"] == "6"
    embedding, cell, head = int(shown["vocabulary"]) * 4, 4 * (4 + 4 + 1) * 4, (4 + 1) * 2
    assert int(shown["parameters"].replace(",", "")) == embedding + cell + head
    assert shown["time of an epoch"].startswith("about ")
    assert "minutes" in shown["time of the training"]


@pytest.mark.parametrize("fault", ["data", "embeddings"])
def test_overwrite_keeps_the_old_run_until_the_new_one_can_train(fault, invoke, reviews, tiny, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", "--data", reviews, "--run", run, *tiny]
    assert invoke(*arguments).exit_code == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"text,label\n\xff,good\n")
    wrong = ["--data", bad] if fault == "data" else ["--embeddings", bad]
    assert invoke(*arguments, *wrong, "--overwrite").exit_code == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_failed_training_leaves_no_run(invoke, reviews, tiny, one_line, tmp_path):
    run, bad = tmp_path / "run", tmp_path / "bad.txt"
    bad.write_bytes(b"\xff\n")
    one_line(invoke("train", "--data", reviews, "--embeddings", bad, "--run", run, *tiny), 1)
    assert "no run found at" in one_line(invoke("evaluate", "--run", run), 2)
    assert invoke("train", "--data", reviews, "--run", run, *tiny).exit_code == 0


def test_scores_are_printed_even_if_they_cannot_be_stored(invoke, trained, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write_json", refuse)
    result = invoke("evaluate", "--run", trained, "--json")
    assert json.loads(result.stdout)["model"]["examples"] == 12
    assert (result.exit_code, "the scores are not stored" in result.stderr) == (1, True)


def test_a_damaged_run_is_a_one_line_error(invoke, reviews, tiny, one_line, tmp_path):
    run = tmp_path / "run"
    assert invoke("train", "--data", reviews, "--run", run, *tiny).exit_code == 0
    (run / "model.keras").write_bytes(b"junk")
    assert "model.keras is damaged" in one_line(invoke("evaluate", "--run", run), 1)
    (run / "metrics.json").write_text("{}")
    assert "metrics.json does not contain the key 'valid'" in one_line(invoke("info", "--run", run), 1)
