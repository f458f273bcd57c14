"""The mixture with n-grams: exact probabilities, the weight, and its signature."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.frames import Scores
from apps.language_modeling.inference import of_keras, of_step
from apps.language_modeling.metrics import BLOCK, log_loss_interval
from apps.language_modeling.mixed_model import MixedModel
from apps.language_modeling.mixture import advice, fit_weight, mixed_losses, mixture_lines
from apps.language_modeling.ngram_tables import bytes_of, tables_of
from apps.language_modeling.ngrams import kneser_ney
from apps.language_modeling.saved_model import step_signature
from apps.run import Run
from seqmodels.data.tokenizer import END
from seqmodels.models import FixedWindowModel, LanguageModel

VOCABULARY = 30
WEIGHT = 0.3


def text(seed, shape):
    """Samples token ids from 3, the line end. A few tokens are frequent, and many are rare."""
    rng = np.random.default_rng(seed)
    return np.minimum(rng.zipf(1.5, shape) + 2, VOCABULARY - 1).astype(np.int32)


TRAIN = text(0, 2000)


def mixed(order, kind=LanguageModel, weight=WEIGHT):
    keras.utils.set_random_seed(3)
    model = kind(VOCABULARY, embedding_units=4, units=4)
    model.build()
    model.embedding.set_weights([np.random.default_rng(0).normal(size=(VOCABULARY, 4))])
    return MixedModel(model, kneser_ney(TRAIN, VOCABULARY, order, END), weight)


@pytest.mark.parametrize(("order", "kind"), [(2, LanguageModel), (3, FixedWindowModel), (5, LanguageModel)])
def test_probabilities_after_random_histories_are_exact_and_sum_to_one(order, kind):
    """The histories contain line ends, and contexts that the training text does not contain."""
    model, ngrams = mixed(order, kind), kneser_ney(TRAIN, VOCABULARY, order, END)
    tokens, targets = text(1, (3, 25)), text(2, (3, 25))
    tokens[:, 0], tokens[0, 1:4] = END, [VOCABULARY - 2, VOCABULARY - 3, VOCABULARY - 2]
    assert (tokens[:, 1:] == END).any()
    features = model.features({"tokens": tokens})
    found = np.exp(model.logits(features.outputs).numpy())  # (rows, time, vocabulary)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    alone = tf.nn.softmax(model.network({"tokens": tokens}).logits).numpy()
    for row in range(3):
        for time in range(25):
            expected = WEIGHT * alone[row, time]
            expected += (1 - WEIGHT) * ngrams.distribution(tokens[row, 1 : time + 1])
            np.testing.assert_allclose(found[row, time], expected, rtol=2e-5)
    losses = model.losses_of(features.outputs, tf.constant(targets)).numpy()
    np.testing.assert_allclose(
        np.exp(-losses), np.take_along_axis(found, targets[..., None], 2)[..., 0], rtol=2e-5
    )


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weights_of_0_and_1_select_one_part(weight):
    model, ids = mixed(3, weight=weight), text(4, 30)
    parts = {
        1.0: of_keras(model.network)(ids),
        0.0: -kneser_ney(TRAIN, VOCABULARY, 3, END).log_probabilities(ids),
    }
    np.testing.assert_allclose(of_keras(model)(ids), parts[weight], rtol=1e-4)
    np.testing.assert_allclose(mixed_losses(parts[1.0], parts[0.0], weight), parts[weight])


def test_the_state_carries_the_history():
    """Two calls are equal to one call, with and without padding."""
    model, tokens = mixed(5), text(5, (2, 20))
    tokens[1, 7:12] = END
    whole = model({"tokens": tokens}).logits.numpy()
    lengths = np.array([9, 6], np.int32)
    first = model.features({"tokens": tokens[:, :11], "lengths": lengths})
    for row, length in enumerate(lengths):
        states = tf.nest.map_structure(lambda state, row=row: state[row : row + 1], first.states)
        rest = model({"tokens": tokens[row : row + 1, length:], "states": states}).logits.numpy()
        np.testing.assert_allclose(rest[0], whole[row, length:], atol=1e-5)


@pytest.mark.parametrize("kind", [LanguageModel, FixedWindowModel])
def test_step_takes_the_history_and_equals_one_pass(kind):
    model, ids = mixed(4, kind), text(6, 20)
    signature = step_signature(model)
    assert (list(signature.inputs), signature.outputs) == (
        ["tokens", "state", "history"],
        ("logits", "state", "history"),
    )
    spec, traced = signature.inputs["state"], signature.traced()
    start = np.full((1, spec.shape[-1]), 0 if spec.dtype.is_floating else END, spec.dtype.as_numpy_dtype)
    expected = of_keras(model)(ids)
    for history in (0, END, 7):  # the first token ends a line, so the earlier tokens have no influence
        states = {"state": start, "history": np.full((1, 3), history, np.int32)}
        losses_of = of_step(
            lambda **inputs: {
                name: value.numpy()
                for name, value in traced(**{key: tf.constant(each) for key, each in inputs.items()}).items()
            },
            states,
        )
        np.testing.assert_allclose(losses_of(ids), expected, rtol=1e-4)


def test_all_variables_of_the_mixture_are_resources():
    model = mixed(3)
    assert len(model.variables) == len(model.network.variables) + 1 + 3 * 2


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("ids", [TRAIN, [5, END, 5, END]], ids=["long", "short"])
def test_size_of_the_tables_is_known_before_they_are_created(order, ids):
    ngrams = kneser_ney(ids, VOCABULARY, order, END)
    tables = tables_of(ngrams)
    arrays = [array for level in tables.levels for array in (level.keys, level.values, level.gammas)]
    size = sum(array.nbytes for array in (tables.unigrams, *arrays))
    assert size <= bytes_of(ngrams) <= size + 4 * len(ids)
    assert all(np.all(np.diff(level.keys) > 0) for level in tables.levels)


def test_weight_has_the_lowest_loss():
    rng = np.random.default_rng(0)
    model, other = rng.gamma(2, 2, 500), rng.gamma(2, 2, 500)
    weight = fit_weight(model, other)
    grid = np.linspace(0, 1, 1001)
    losses = [mixed_losses(model, other, each).mean() for each in grid]
    assert weight == pytest.approx(grid[int(np.argmin(losses))], abs=1e-3)
    assert fit_weight(other, model) == pytest.approx(1 - weight, abs=1e-9)
    assert fit_weight(model, model + 1) == 1
    assert fit_weight(model + 1, model) == 0


def test_infinite_and_very_different_losses_have_a_weight():
    other = np.full(100, 3.0)
    model = np.where(np.arange(100) == 0, math.inf, 0.5)
    weight = fit_weight(model, other)
    assert 0.9 < weight < 1
    assert np.isfinite(mixed_losses(model, other, weight)).all()
    assert 0 < fit_weight(np.array([2000.0, 0.1]), np.array([0.1, 2000.0])) < 1


def test_interval_counts_blocks_of_dependent_tokens():
    """If all tokens of a block are equal, the interval has the width of one token per block."""
    losses = np.random.default_rng(0).normal(3, 1, 400 * BLOCK)
    low, high = log_loss_interval(losses)
    assert (low + high) / 2 == pytest.approx(losses.mean(), abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(400 * BLOCK), rel=0.25)
    low, high = log_loss_interval(np.repeat(losses[::BLOCK], BLOCK))
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(400), rel=0.25)
    assert log_loss_interval(losses[:BLOCK]) is None
    assert log_loss_interval(np.append(losses, math.inf)) is None


def metrics(model, **rivals):
    baselines = {f"Kneser-Ney, {n[1:]}-grams": {"perplexity": value} for n, value in rivals.items()}
    return {
        "valid": {"perplexity": model},
        "baselines": {"valid": {"unigram": {"perplexity": 1.0}, **baselines}},
    }


def test_advice_names_the_best_ngrams_and_the_command():
    (sentence,) = advice(Run(Path("my runs")), metrics(20.0, n3=19.0, n5=18.126))
    assert sentence == (
        "Kneser-Ney, 5-grams are better than the model: their validation perplexity is 18.13, the "
        "perplexity of the model is 20.00; `python -m apps.language_modeling evaluate --run 'my runs' "
        "--mix` interpolates both"
    )
    assert advice(Run("run"), metrics(18.0, n3=19.0, n5=18.1)) == []
    assert len(advice(Run("run"), metrics(math.inf, n5=18.1))) == 1


def test_lines_below_the_table_show_the_weight():
    row = {"weight": 0.25, "weight_tokens": 1200}
    row["difference"] = {
        "model": {"log_loss": -0.1, "interval": [-0.2, 0.05]},
        "x": {"log_loss": 0, "interval": None},
    }
    assert list(mixture_lines("mixed", row)) == [
        "mixed: weight of the model 0.250, fitted on 1,200 validation tokens",
        "nats per token compared with model: -0.1000 (95 % interval -0.2000 to +0.0500)",
        "nats per token compared with x: +0.0000",
    ]
    assert list(mixture_lines("model", {"perplexity": 3.0})) == []


def test_table_of_scores_in_python_has_a_row_for_the_mixture():
    scores = {
        "model": {"perplexity": 9.0},
        "variants": {"mixed": {"perplexity": 7.0, "perplexity_interval": [6, 8]}},
    }
    table = Scores({**scores, "baselines": {"unigram": {"perplexity": 20.0}}}).to_frame()
    assert table["perplexity"].to_dict() == {"unigram": 20.0, "model": 9.0, "model mixed": 7.0}
