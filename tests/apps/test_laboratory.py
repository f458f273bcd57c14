"""The gradient laboratory: the command line, and the laws that the experiments measure."""

from __future__ import annotations

import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import apps.cli
from apps.gradients import laboratory, problems
from apps.gradients.__main__ import main
from apps.gradients.experiments import clipping, markov, memory, order, parallel, radius, truncation
from apps.gradients.learning import Learner, Reader
from apps.gradients.options import EXPERIMENTS, VARIANTS, Clipping, Memory, Parallel, Radius, Truncation
from apps.sentiment.__main__ import main as sentiment
from apps.sentiment.reviews import reviews
from seqmodels.cells import LSTMCell
from seqmodels.registry import CLIP_BY
from seqmodels.training.optimizers import clip

SMALL = {
    "flow": ["--steps", "12", "--units", "4", "--rows", "2"],
    "radius": ["--steps", "80", "--units", "8"],
    "clipping": ["--steps", "1", "--units", "2", "--lag", "4", "--no-xla"],
    "truncation": ["--steps", "1", "--units", "2", "--lag", "4", "--length", "8", "--no-xla"],
    "memory": [
        "--steps",
        "1",
        "--units",
        "2",
        "--shortest",
        "4",
        "--lags",
        "1",
        "--cell",
        "lstm",
        "--no-xla",
    ],
    "markov": ["--epochs", "1", "--units", "2", "--vocabulary", "20", "--no-xla"],
    "order": ["--epochs", "1", "--units", "2", "--reviews", "64", "--tests", "8", "--no-xla"],
    "parallel": ["--units", "2", "--rows", "1", "--shortest", "2", "--lengths", "2"],
}


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def measured(name, folder, *arguments, small=True):
    """Runs an experiment, checks the stored findings and the figure, and returns the JSON document."""
    result = invoke(name, "--run", folder, "--json", *(SMALL[name] if small else ()), *arguments)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["found"]
    assert "\n" not in document["found"]
    assert len({tuple(row) for row in document["rows"]}) == 1
    assert json.loads((folder / "findings" / f"{name}.json").read_text()) == document
    figure = folder / "plots" / f"{name}.png"
    assert document["figure"] == str(figure)
    with Image.open(figure) as image:
        assert image.format == "PNG"
    assert figure.stat().st_size < 60_000
    return document


def test_every_experiment_has_small_options():
    assert {*SMALL, "all"} == set(EXPERIMENTS)


@pytest.mark.parametrize("arguments", [["--help"], ["markov", "--help"], ["memory", "--lags", "10"]])
def test_help_and_usage_errors_are_quick_and_import_nothing_heavy(arguments, fresh_python):
    program = (
        "import sys; from apps.gradients.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*{'tensorflow', 'keras', 'numpy', 'rich'} & set(sys.modules), 'loaded')"
    )
    done, seconds = fresh_python(program, *arguments)
    assert done.stdout.endswith("loaded\n")
    assert done.stdout.splitlines()[-1].strip() == "loaded"
    assert done.returncode == (0 if "--help" in arguments else 2)
    assert seconds < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flow", "--cell", "transformer"], "'transformer' is not one of 'all', 'rnn-linear'"),
        (["radius", "--above", "0.5"], "'0.5' is out of range; expected a number at least 1.001"),
        (["memory", "--lags", "9"], "and --shortest 4, the longest lag is 262,144 steps; expected at most"),
        (
            ["parallel", "--lengths", "10"],
            "needs a batch with 8,589,934,592 values (8 sequences, 16,777,216 steps and 64 units); expected",
        ),
        (
            ["clipping", "--lag", "1000000"],
            "expected a number at least 4 and at most 4096",
        ),
        (["truncation", "--length", "1000000"], "expected a number at least 8 and at most 4096"),
        (["entropy"], "No such command 'entropy'"),
    ],
)
def test_usage_errors_are_one_line(monkeypatch, arguments, message):
    monkeypatch.setattr(apps.cli, "import_tensorflow", lambda: pytest.fail("TensorFlow is imported"))
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (["options.json"], "is an unfinished run; repeat its `train` command"),
        (["options.json", "model.keras"], "is an unfinished run"),
        (["options.json", "metrics.json"], "is an unfinished run"),
        (["model.keras"], "is an incomplete run without options.json; train it again"),
        (["metrics.json", "model.keras"], "is an incomplete run without options.json"),
        (["metrics.json"], "is an incomplete run without options.json"),
    ],
)
@pytest.mark.parametrize("name", ["flow", "radius", "all"])
def test_an_incomplete_run_is_a_usage_error(monkeypatch, tmp_path, name, held, message):
    monkeypatch.setattr(apps.cli, "import_tensorflow", lambda: pytest.fail("TensorFlow is imported"))
    for each in held:
        (tmp_path / each).write_text("{}")
    result = invoke(name, "--run", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path} {message}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_run_untrained_cells_are_measured_in_a_new_folder(tmp_path):
    result = invoke("flow", "--run", tmp_path / "new" / "folder", "--cell", "gru", *SMALL["flow"])
    assert result.exit_code == 0
    assert f"note: no trained run found at {tmp_path}/new/folder; measuring untrained cells" in result.stderr
    assert (tmp_path / "new" / "folder" / "plots" / "flow.png").exists()


def test_a_run_without_a_task_is_an_error(tmp_path):
    for name in ("options.json", "data.json", "metrics.json", "model.keras"):
        (tmp_path / name).write_text('{"unknown": 1}')
    result = invoke("flow", "--run", tmp_path)
    assert result.exit_code == 1
    assert "data.json does not contain the key 'task'; train the run again" in result.stderr


def test_without_json_a_table_and_the_finding_are_printed(tmp_path):
    result = invoke("radius", "--run", tmp_path, *SMALL["radius"])
    assert "log radius" in result.stdout
    assert "linear: the logarithm of the gradient changes by" in result.stdout
    assert result.stdout.count("\n") < 20


@pytest.mark.slow
def test_untrained_cells_stay_below_their_bounds(tmp_path):
    document = measured("flow", tmp_path)
    assert [row["cell"] for row in document["rows"]] == list(VARIANTS)
    for curves in document["curves"].values():
        assert len(curves["jacobian"]) == len(curves["loss"]) == 13
        assert curves["jacobian"][0] == pytest.approx(1)
        assert (np.array(curves["largest"]) <= np.array(curves["bound"]) * (1 + 1e-9)).all()
    assert "no bound is exceeded" in document["found"]


def test_the_gradient_vanishes_with_sigmoid_and_holds_with_the_identity_matrix(tmp_path):
    sigmoid, relu = (
        measured("flow", tmp_path, "--cell", name)["rows"][0] for name in ("rnn-sigmoid", "rnn-relu")
    )
    assert sigmoid["verdict"] == "vanishes"
    assert sigmoid["factor a step"] <= 0.25
    assert relu["verdict"] == "holds"


def test_the_gradient_of_lstm_and_gru_holds_over_20_steps_and_of_tanh_vanishes(tmp_path):
    """The verdict is "holds" if at least 1 % of the gradient is left after 20 steps (the default)."""
    verdicts = {}
    for name in ("rnn-tanh", "lstm", "gru"):
        result = invoke("flow", "--run", tmp_path, "--json", "--cell", name, "--steps", "20")
        (row,) = json.loads(result.stdout)["rows"]
        verdicts[name] = row["verdict"]
    assert verdicts == {"rnn-tanh": "vanishes", "lstm": "holds", "gru": "holds"}


def test_a_trained_run_is_diagnosed(reviews, tiny, tmp_path):
    run = tmp_path / "run"
    options = [str(each) for each in ("--data", reviews, "--run", run, *tiny)]
    assert CliRunner().invoke(sentiment, ["train", *options]).exit_code == 0
    exact = measured("flow", run, small=False)
    assert [row["cell"] for row in exact["rows"]] == ["forward_0"]
    curves = exact["curves"]["forward_0"]
    assert max(curves["loss"]) > 0
    assert exact["found"].startswith(f"forward_0: {exact['rows'][0]['verdict']}")
    estimated = measured("flow", run, "--exact", "0", "--vectors", "2", small=False)["curves"]["forward_0"]
    assert (np.array(estimated["largest"]) <= np.array(curves["largest"]) * (1 + 1e-5)).all()
    assert (np.array(estimated["jacobian"]) > 0).all()
    refused = invoke("flow", "--run", run, "--cell", "gru", "--steps", "20")
    assert refused.exit_code == 2
    assert f"--cell, --steps cannot be set for the trained run {run}" in refused.stderr


def test_the_rate_of_a_linear_network_is_the_log_of_the_radius(tmp_path):
    document = measured("radius", tmp_path, "--steps", "200")
    linear, squashed = document["rows"][:3], document["rows"][3:]
    for row in linear:
        near_zero = {"abs": 5e-4} if row["radius"] == 1 else {}
        assert row["measured rate"] == pytest.approx(math.log(row["radius"]), rel=0.01, **near_zero)
        assert row["||U||"] >= row["radius"]
    assert all(squash["measured rate"] < line["measured rate"] for squash, line in zip(squashed, linear))


def test_an_explosion_beyond_the_float_range_is_measured():
    logarithms, _ = radius.log_norms_by_distance("linear", 4.0, Radius(units=4, steps=520))
    assert logarithms[-1] > np.log(np.finfo(np.float64).max)
    rate = (logarithms[-1] - logarithms[260]) / 260
    assert rate == pytest.approx(math.log(4), rel=0.01)


gradients = st.lists(arrays.arrays(np.float64, (3,), elements=st.floats(-1e3, 1e3)), min_size=1, max_size=3)


@settings(max_examples=50, deadline=None)
@given(gradients, st.floats(1e-3, 1e3), st.sampled_from(CLIP_BY))
def test_clipping_bounds_the_norm_and_global_clipping_keeps_the_direction(found, limit, by):
    before = np.concatenate(found)
    clipped, norm, changed = clip([tf.constant(each) for each in found], limit, by)
    after = np.concatenate([each.numpy() for each in clipped])
    if not changed:
        # TensorFlow flushes subnormal numbers to 0.
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=np.finfo(np.float64).tiny)
    assert float(norm) == pytest.approx(np.linalg.norm(before))
    assert np.linalg.norm(after) <= np.linalg.norm(before) * (1 + 1e-9)
    if by == "global":
        assert np.linalg.norm(after) <= limit * (1 + 1e-9)
        cosine = before @ after
        assert cosine == pytest.approx(np.linalg.norm(before) * np.linalg.norm(after), rel=1e-6, abs=1e-12)


def test_the_gradient_on_the_cliff_equals_finite_differences():
    gradient = clipping.cliff_gradient()
    for point in np.array([[4.5, -2.0], [5.0, -2.4], [3.6, 0.1]]):
        found = np.concatenate([np.ravel(each) for each in gradient(point)])
        nudges = 1e-6 * np.eye(2)
        up, down = (clipping.cliff_loss(point + sign * nudges) for sign in (1, -1))
        np.testing.assert_allclose(found, (up - down) / 2e-6, rtol=1e-5, atol=1e-8)


def test_on_the_cliff_clipping_bounds_every_step():
    free, norms, clipped = clipping.descend(None)
    assert clipped == 0
    assert max(norms) > 10
    for by in CLIP_BY:
        path, _, clipped = clipping.descend(by)
        steps = np.linalg.norm(np.diff(path, axis=0), axis=-1)
        corners = 1 if by == "global" else math.sqrt(2)
        assert steps.max() <= clipping.RATE * clipping.CLIFF_THRESHOLD * corners * (1 + 1e-9)
        assert clipped > 0
    assert np.linalg.norm(np.diff(free, axis=0), axis=-1).max() > 1


@pytest.mark.slow
def test_error_shrinks_and_memory_grows_with_the_window():
    options = Truncation(units=4, length=16)
    rows = truncation.compare([1, 4, 8, 16], options)
    assert rows[-1]["relative error"] == 0
    assert rows[-1]["cosine"] == pytest.approx(1)
    assert rows[0]["relative error"] > rows[2]["relative error"] > 0
    kept = [row["kilobytes kept"] for row in rows]
    assert (kept[3] - kept[2]) == pytest.approx(2 * (kept[2] - kept[1]), rel=0.01)


def test_problems_have_the_documented_targets():
    random = np.random.default_rng(0)
    for lag in (4, 9, 30):
        for problem in (
            problems.adding,
            problems.copying,
            problems.parity,
            problems.xor,
            problems.recall,
        ):
            inputs, targets = problem(random, 50, lag)
            assert inputs.shape == (50, lag + problems.ANSWERS, problems.FEATURES)
            assert targets.shape == (50, problems.ANSWERS)
            assert inputs.dtype == targets.dtype == np.float32
            assert (inputs[:, :lag, problems.ANSWER] == 0).all()
            assert (inputs[:, lag:, problems.ANSWER] == 1).all()
            assert (inputs[:, lag:, : problems.ANSWER] == 0).all()
        assert (problems.adding(random, 50, lag)[0][..., problems.MARK].sum(axis=1) == 2).all()
        inputs, targets = problems.adding(np.random.default_rng(1), 50, lag)
        sums = (inputs[..., problems.VALUE] * inputs[..., problems.MARK]).sum(axis=1)
        np.testing.assert_allclose(targets[:, 0], sums - 1, atol=1e-6)
        inputs, targets = problems.copying(random, 50, lag)
        np.testing.assert_array_equal(targets, inputs[:, : problems.ANSWERS, problems.VALUE])
        inputs, targets = problems.parity(random, 50, lag)
        negative = (inputs[:, :lag, problems.VALUE] < 0).sum(axis=1)
        np.testing.assert_array_equal(targets[:, 0] < 0, negative % 2 == 1)
        np.testing.assert_array_equal(np.unique(targets), [-1, 1])
        inputs, targets = problems.xor(random, 50, lag)
        np.testing.assert_array_equal(targets[:, 0], inputs[:, 0, 0] * inputs[:, lag - 1, 0])
        inputs, targets = problems.recall(random, 50, lag)
        np.testing.assert_array_equal(targets[:, 0], inputs[:, 0, problems.VALUE])


def test_a_learner_restarts_from_the_same_weights():
    model = Reader("gru", 3)
    model.build()
    learner = Learner(model, 4, Memory(steps=1, xla=False))
    first = learner.learn(problems.adding)
    learner.learn(problems.copying)
    again = learner.learn(problems.adding)
    assert [row["valid_loss"] for row in first] == [row["valid_loss"] for row in again]
    assert len(learner.norms) == first[0]["steps"]


@pytest.mark.parametrize("truncate", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_padding_to_a_longer_lag_changes_nothing(truncate):
    model = Reader("lstm", 3, truncate)
    model.build()
    options = Memory(steps=1, xla=False)
    learner = Learner(model, 4, options)
    (short,) = learner.learn(problems.copying)
    learner.reset()
    (padded,) = Learner(model, 9, options).learn(problems.copying, 4)
    for name in ("loss", "valid_loss", "gradient_norm"):
        assert padded[name] == pytest.approx(short[name], rel=1e-5)


@pytest.mark.slow
def test_a_learner_stops_if_nothing_is_explained():
    model = Reader("gru", 3)
    model.build()
    options = Memory(steps=150, learning_rate=0.0, xla=False)
    assert len(Learner(model, 4, options, patience=2).learn(problems.xor)) == 2
    assert len(Learner(model, 4, options).learn(problems.xor)) == 3


def test_truncation_needs_an_lstm():
    with pytest.raises(ValueError, match="got gru"):
        Reader("gru", 3, truncate=2)


def test_neutral_sentences_surround_the_decisive_sentence():
    rows = reviews()["test"][:100]
    sentences = [order.decisive(row) for row in rows]
    assert all(sentences)
    assert not any(neutral in text for text in sentences for neutral in order.NEUTRALS)
    random = order.Random(0)
    for name, text in zip(sentences, order._texts(rows, order.DEMANDS["distance"], random)):
        assert text[0].startswith(name)
    for name, text in zip(sentences, order._texts(rows, order.DEMANDS["sharing"], random)):
        assert text[0].endswith(name)
    assert len(order._longer("short", 40, random).split()) > 40


def test_all_writes_one_report_with_figures(tmp_path, monkeypatch):
    chosen = {name: EXPERIMENTS[name] for name in ("radius", "all")}
    monkeypatch.setattr(laboratory, "EXPERIMENTS", chosen)
    result = invoke("all", "--run", tmp_path, "--seed", 1, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    (radius,) = document["experiments"]
    assert radius["options"]["seed"] == 1
    report = (tmp_path / "report.md").read_text()
    assert document["report"] == str(tmp_path / "report.md")
    assert "## radius" in report
    assert f"python -m apps.gradients radius --run {tmp_path} --seed 1" in report
    assert radius["found"] in report
    assert "| linear | 0.95 |" in report
    assert (tmp_path / re.search(r"!\[radius\]\((.+)\)", report).group(1)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["truncation", "parallel"])
def test_an_experiment_runs(name, tmp_path):
    document = measured(name, tmp_path)
    assert document["experiment"] == name


@pytest.mark.slow
def test_clipped_steps_are_counted(tmp_path):
    rows = measured("clipping", tmp_path, "--threshold", "1e-9")["rows"]
    counts = {row["clipping"]: row["training: clipped"] for row in rows}
    assert counts == {"none": "0 of 50", **{f"by {name}": "50 of 50" for name in CLIP_BY}}


@pytest.mark.slow
def test_memory_names_the_gradient_gate_and_stores_all_gates(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "SOLVED", -100)
    document = measured("memory", tmp_path)
    (row,) = document["rows"]
    assert row["gradient passes"] == "forget gate"
    assert "forget gate of lstm" in document["found"]
    (kept,) = document["cells"]["lstm"]["gates"]
    for gates in (kept["start"], kept["learned"]):
        assert list(gates) == ["forget gate", "input gate", "output gate"]
        for each in gates.values():
            assert list(each) == ["mean", "10 %", "50 %", "90 %"]
            assert {len(curve) for curve in each.values()} == {4 + problems.ANSWERS}
            low, middle, high = (np.array(each[name]) for name in ("10 %", "50 %", "90 %"))
            assert (low <= middle).all()
            assert (middle <= high).all()
    # At the zero state a gate is sigmoid(bias) on average: sigmoid(1) = 0.73 and sigmoid(0) = 0.5.
    assert kept["start"]["forget gate"]["mean"][0] == pytest.approx(0.73, abs=0.1)
    assert kept["start"]["input gate"]["mean"][0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_forget_bias_1_remembers_longer_than_forget_bias_0():
    explained = {}
    for name in ("lstm", "lstm-forget-0"):
        keras.utils.set_random_seed(0)
        model = Reader(name, 32)
        model.build()
        learned = Learner(model, 16, Memory()).learn(problems.xor)
        explained[name] = max(row["explained"] for row in learned)
    assert explained["lstm"] > 0.5
    assert explained["lstm-forget-0"] < 0.1


@pytest.mark.slow
def test_order_needs_more_than_a_bag_of_words(tmp_path):
    result = invoke("order", "--run", tmp_path, "--json")
    accuracies = {row["model"]: row for row in json.loads(result.stdout)["rows"]}
    assert accuracies["LSTM: last state"]["order"] > 0.95
    assert accuracies["LSTM: maximum over time"]["order"] > 0.95
    bags = [row["order"] for name, row in accuracies.items() if name.startswith("bag")]
    assert len(bags) == 2
    assert max(bags) < 0.65


@pytest.mark.slow
def test_order_scores_every_model_on_every_test(tmp_path):
    rows = measured("order", tmp_path)["rows"]
    assert len(rows) == 6
    assert all(0 <= row[demand] <= 1 for row in rows for demand in ("order", "length", "distance", "sharing"))


@pytest.mark.slow
def test_the_size_of_tables_grows_with_the_context_and_the_recurrent_size_is_constant(tmp_path):
    document = measured("markov", tmp_path)
    size = document["text"]["vocabulary"]
    parameters = {}
    for row in document["rows"]:
        parameters.setdefault(row["model"], {})[row["context"]] = row["parameters"]
    for context, count in parameters["table"].items():
        assert count == size ** (context + 1)
    assert len(parameters["recurrent"]) == len(markov.CONTEXTS) + len(markov.LONGER)
    assert len(set(parameters["recurrent"].values())) == 1
    windows = parameters["window"]
    assert windows[4] - windows[2] == 2 * (windows[2] - windows[1]) > 0


@pytest.mark.slow
def test_a_parallel_cell_is_faster_than_every_sequential_cell_at_1024_steps():
    options, steps = Parallel(), 1024
    for _ in range(3):  # the machine may be busy
        best, *sequential = (
            parallel.timed(name, steps, options)["milliseconds"] for name in ("mingru", *parallel.SEQUENTIAL)
        )
        if best < min(sequential):
            break
    assert best < min(sequential)


@pytest.mark.slow
def test_a_window_shorter_than_the_dependency_never_learns_it():
    options = Truncation()
    whole = options.lag + problems.ANSWERS
    assert truncation.learn(whole, options)["solved"]
    assert not truncation.learn(whole // 2, options)["solved"]


@pytest.mark.slow
def test_a_training_succeeds_only_with_clipping_by_the_global_norm():
    assert clipping.train("global", Clipping()).end == "solved"
    assert clipping.train(None, Clipping()).end != "solved"


@pytest.mark.slow
def test_memory_includes_gates_and_states():
    cell = LSTMCell(4)
    cell.build((None, truncation.INPUTS))
    inputs = tf.zeros((truncation.BATCH, 8, truncation.INPUTS))
    _, kept = truncation.cost(cell, inputs, np.zeros((truncation.BATCH, 8, 1), np.float32))
    gates_and_states = 8 * truncation.BATCH * 6 * 4 * 4  # four gates, h and c in float32
    assert kept >= gates_and_states
