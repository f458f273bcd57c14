"""Language models: carried state, truncated gradients, and output layers compared with NumPy."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import lstm

from seqmodels.data.running import running_text
from seqmodels.layers import (
    AdaptiveSoftmax,
    EmbeddingDropout,
    LockedDropout,
    TiedOutput,
    sampled_softmax_losses,
)
from seqmodels.models import FixedWindowModel, LanguageModel
from seqmodels.training.objectives import next_token

V = 11
IDS = np.random.default_rng(0).integers(4, V, 60).astype(np.int32)


def recurrent(**options):
    keras.utils.set_random_seed(1)
    return built(LanguageModel(V, **{"embedding_units": 4, "units": 5, "dtype": "float64", **options}))


def fixed(**options):
    keras.utils.set_random_seed(1)
    settings = {"window": 3, "embedding_units": 4, "units": 5, "dtype": "float64"}
    return built(FixedWindowModel(V, **{**settings, **options}))


def built(model):
    model.build()
    return model


MODELS = [recurrent, fixed]


@pytest.mark.parametrize("make", MODELS)
def test_windows_with_carried_state_have_the_loss_of_one_long_pass(make):
    model, objective = make(), next_token()
    long = model({"tokens": IDS[None, :-1], "states": model.get_initial_state(1)})
    whole = keras.ops.log_softmax(long.logits).numpy()[0, np.arange(59), IDS[1:]]
    state, total, count = model.get_initial_state(1), 0.0, 0.0
    for tokens, targets, weights in running_text(IDS[1:], IDS[0], batch_size=1, lengths=[7]):
        weights = tf.cast(weights, tf.float64)
        outcome = objective(model, tokens, targets, weights, state, False)
        state, total, count = outcome.carried, total + outcome.total, count + outcome.count
    assert count == 59
    assert float(total) == pytest.approx(-whole.sum(), rel=1e-12)


def test_carried_state_continues_each_row():
    model, objective = recurrent(), next_token()
    windows = list(running_text(IDS, 3, batch_size=2, lengths=[5, 6], seed=1))
    state = model.get_initial_state(2)
    for tokens, targets, weights in windows:
        outcome = objective(model, tokens, targets, tf.cast(weights, tf.float64), state, True)
        state = outcome.carried
    columns = np.append(3, IDS[:-1]).reshape(2, 30)
    padding = np.zeros((2, sum(tokens.shape[1] for tokens, *_ in windows) - 30), np.int32)
    expected = model({"tokens": np.concatenate([columns, padding], axis=1)}).states
    for one, other in zip(tf.nest.flatten(state), tf.nest.flatten(expected)):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_gradient_is_truncated_at_the_start_of_a_window():
    """The gradient of a training step is the slope of a window's loss with a fixed first state."""
    model, objective = recurrent(), next_token()
    tokens, targets, ones = IDS[None, :20], IDS[None, 1:21], tf.ones((1, 10), tf.float64)

    def window(index, state):
        part = slice(10 * index, 10 * index + 10)
        return objective(model, tokens[:, part], targets[:, part], ones, state, True)

    carried = window(0, model.get_initial_state(1)).carried
    with tf.GradientTape() as tape:
        total = window(1, carried).total
    gradient = [tf.convert_to_tensor(g) for g in tape.gradient(total, model.trainable_weights)]
    rng, epsilon = np.random.default_rng(2), 1e-6
    moves = [epsilon * rng.normal(size=g.shape) for g in gradient]

    def slope(state_of):
        values = []
        for sign in (1, -1):
            for weight, move in zip(model.trainable_weights, moves):
                weight.assign_add(sign * move)
            values.append(float(window(1, state_of()).total))
            for weight, move in zip(model.trainable_weights, moves):
                weight.assign_sub(sign * move)
        return (values[0] - values[1]) / 2

    directional = sum(np.sum(g * move) for g, move in zip(gradient, moves))
    assert directional == pytest.approx(slope(lambda: carried), rel=1e-6)
    through = slope(lambda: window(0, model.get_initial_state(1)).carried)
    assert directional != pytest.approx(through, rel=1e-2)


def test_loss_equals_lstm_of_the_paper_and_softmax_over_the_embedding():
    model = recurrent(units=4, layers=1)
    weights = {weight.name: weight.numpy() for weight in model.encoder.directions[0][0].cell.weights}
    table, bias = model.embedding.get_weights()[0], model.head.bias.numpy()
    state, losses = (np.zeros(4), np.zeros(4)), []
    for token, target in pairwise(IDS):
        output, state = lstm(weights, table[token], state)
        logits = output @ table.T + bias
        losses.append(np.log(np.sum(np.exp(logits))) - logits[target])
    features = model.features({"tokens": IDS[None, :-1]})
    np.testing.assert_allclose(model.losses_of(features.outputs, IDS[None, 1:])[0], losses, rtol=1e-10)


def test_fixed_window_depends_only_on_its_window():
    model, tokens = fixed(), IDS[None, :8].copy()
    before = model({"tokens": tokens}).logits.numpy()
    tokens[0, 2] = (tokens[0, 2] - 3) % (V - 4) + 4
    after = model({"tokens": tokens}).logits.numpy()
    changed = np.any(before != after, axis=-1)[0]
    assert changed.tolist() == [False, False, True, True, True, False, False, False]
    table, kernel, bias = (w.numpy() for w in (model.embedding.embeddings, *model.hidden.weights))
    hidden = np.tanh(np.concatenate(table[tokens[0, 3:6]]) @ kernel + bias)
    projection, output_bias = model.head.projection.numpy(), model.head.bias.numpy()
    np.testing.assert_allclose(after[0, 5], hidden @ projection @ table.T + output_bias, rtol=1e-10)


def test_tied_output_shares_the_embedding():
    tied, untied = recurrent(units=4), recurrent(units=4, tied=False)
    assert tied.count_params() == untied.count_params() - 4 * V
    table = np.random.default_rng(1).normal(size=(V, 4))
    layer, inputs = TiedOutput(V, 4, dtype="float64"), np.random.default_rng(2).normal(size=(2, 3, 4))
    np.testing.assert_allclose(layer(inputs, table), inputs @ table.T, rtol=1e-12)


def test_adaptive_softmax_probabilities_and_losses():
    """Both levels are computed in NumPy."""
    rng = np.random.default_rng(3)
    layer, inputs = (
        AdaptiveSoftmax(V, (5, 8), factor=2, dtype="float64"),
        tf.constant(rng.normal(size=(2, 7, 6))),
    )
    layer.build(inputs.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    found = layer(inputs).numpy()
    np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, rtol=1e-12)
    targets = rng.integers(0, V, (2, 7)).astype(np.int32)
    np.testing.assert_allclose(
        layer.losses_of(inputs, targets), -np.take_along_axis(found, targets[..., None], -1)[..., 0]
    )

    def softmax(logits):
        return np.exp(logits) / np.exp(logits).sum()

    by_name = {weight.name: weight.numpy() for weight in layer.weights}
    head = softmax(inputs[0, 0].numpy() @ by_name["head_kernel"] + by_name["head_bias"])
    tail = softmax(inputs[0, 0].numpy() @ by_name["projection_1"] @ by_name["kernel_1"])
    assert by_name["projection_0"].shape == (6, 3)
    assert by_name["projection_1"].shape == (6, 1)
    np.testing.assert_allclose(np.exp(found[0, 0, 8:]), head[6] * tail, rtol=1e-10)


@pytest.mark.parametrize("cutoffs", [(), (0,), (5, 5), (6, 3), (V,)])
def test_cutoffs_outside_of_the_vocabulary_are_refused(cutoffs):
    with pytest.raises(ValueError, match="cutoffs must be increasing numbers from 1 to 10"):
        AdaptiveSoftmax(V, cutoffs)


def test_an_adaptive_softmax_cannot_be_tied():
    with pytest.raises(ValueError, match=r"cutoffs cannot be used with tied weights.* set tied=False"):
        LanguageModel(V, cutoffs=[5])


TIES = [{"units": 4}, {"units": 5}, {"units": 5, "tied": False}]


@pytest.mark.parametrize("dtype", ["float64", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", TIES, ids=["tied", "projected", "untied"])
@pytest.mark.parametrize("make", MODELS)
def test_sampled_softmax_of_all_tokens_equals_full_softmax(make, options, dtype):
    """The losses and the gradients are equal. Evaluation never samples."""
    options = {**options, "dtype": dtype}
    near = {"rtol": 1e-9, "atol": 1e-12} if dtype == "float64" else {"rtol": 0.02, "atol": 0.02}
    inputs, targets = IDS[None, :-1], tf.constant(IDS[None, 1:] % V)
    found = []
    for samples in (0, V):
        model = make(samples=samples, **options)
        for weight, value in zip(model.trainable_variables, make(**options).trainable_variables):
            weight.assign(3 * value)  # larger weights make the probabilities of the tokens differ
        with tf.GradientTape() as tape:
            losses = model.losses_of(model.features({"tokens": inputs}).outputs, targets, training=True)
        gradients = tape.gradient(losses, model.trainable_variables)
        found.append([losses, *map(tf.convert_to_tensor, gradients)])
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-5)
    for full, sampled in zip(*found, strict=True):
        np.testing.assert_allclose(sampled, full, **near)
    few = built(type(model).from_config({**model.get_config(), "samples": 4}))
    few.set_weights(model.get_weights())
    outputs = few.features({"tokens": inputs}).outputs
    np.testing.assert_allclose(few.losses_of(outputs, targets), found[0][0], rtol=1e-6)
    assert not np.allclose(few.losses_of(outputs, targets, training=True), found[0][0], rtol=1e-3)


def test_a_sampled_softmax_estimates_the_denominator_without_bias():
    """The mean of ``exp(loss) = denominator / e^own`` over many samples equals the full softmax.

    The test has frequent and rare targets. XLA gives the same numbers.
    """
    rng = np.random.default_rng(4)
    inputs, table, bias = (rng.normal(size=shape) for shape in ((1, V, 3), (V, 3), (V,)))
    targets = tf.range(V)[None]
    logits = inputs @ table.T + bias
    full = np.exp(logits).sum(-1) / np.exp(np.diagonal(logits, axis1=1, axis2=2))
    arguments = [tf.constant(each) for each in (inputs, table, bias)]

    @tf.function
    def draw(seed):
        return sampled_softmax_losses(*arguments, targets, 6, seed)

    draws = np.stack([np.exp(draw(tf.constant([7, number]))) for number in range(4000)])
    error = draws.std(0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(0) - full), 5 * error)
    assert np.all(error > 0)
    compiled = tf.function(draw, jit_compile=True)
    np.testing.assert_allclose(np.exp(compiled(tf.constant([7, 5]))), draws[5], rtol=1e-9)


@pytest.mark.parametrize("options", [{"samples": 3}, {"samples": V + 1}, {"samples": 4, "cutoffs": [5]}])
def test_invalid_samples_are_refused(options):
    with pytest.raises(
        ValueError, match=f"samples must be 0 or from 4 to {V}, and must be 0 if cutoffs are used; got "
    ):
        LanguageModel(V, tied=False, **options)


def test_locked_dropout_has_one_mask_for_all_steps():
    dropped = LockedDropout(0.4, seed=1)(tf.ones((3, 5, 100)), training=True).numpy()
    assert np.array_equal(dropped, np.repeat(dropped[:, :1], 5, axis=1))
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.6], rtol=1e-6)
    assert not np.array_equal(dropped[0], dropped[1])
    assert np.mean(dropped == 0) == pytest.approx(0.4, abs=0.15)


def test_embedding_dropout_drops_all_occurrences_of_a_type_or_none():
    tokens = np.random.default_rng(0).integers(0, 50, (4, 30)).astype(np.int32)
    dropped = EmbeddingDropout(50, 0.5, seed=1)(tf.ones((4, 30, 6)), tokens, training=True).numpy()
    scale = {}
    for token, vector in zip(tokens.reshape(-1), dropped.reshape(-1, 6)):
        assert np.all(vector == vector[0])
        assert scale.setdefault(token, vector[0]) == vector[0]
    assert set(scale.values()) == {0.0, 2.0}


@pytest.mark.parametrize("temporal", [0.0, 3.0])
@pytest.mark.parametrize("activation", [0.0, 2.0])
def test_penalties_are_means_of_squares(activation, temporal):
    model = recurrent(output_dropout=0.5)
    arguments = (IDS[None, :20], IDS[None, 1:21], tf.ones((1, 20), tf.float64), model.get_initial_state(1))
    seen = []
    features = model.features
    model.features = lambda *args, **options: seen.append(features(*args, **options)) or seen[-1]
    outcome = next_token(activation, temporal)(model, *arguments, True)
    outputs, raw = seen[0].outputs.numpy(), seen[0].raw.numpy()
    assert not np.array_equal(outputs, raw)
    expected = activation * np.mean(outputs**2) + temporal * np.mean(np.diff(raw, axis=1) ** 2)
    assert float(outcome.penalty) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["embedding", "input", "layer", "output", "recurrent", "weight"])
def test_each_dropout_acts_only_in_training(name):
    model = recurrent(**{f"{name}_dropout": 0.3})
    tokens = {"tokens": IDS[None]}
    assert np.array_equal(model(tokens).logits, model(tokens).logits)
    plain = recurrent()
    plain.set_weights([weight.numpy() for weight in model.trainable_weights])
    assert np.array_equal(model(tokens).logits, plain(tokens).logits)
    assert not np.array_equal(model(tokens, training=True).logits, model(tokens, training=True).logits)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.slow
def test_the_model_also_works_with_compile_and_fit(make):
    inputs = {"tokens": keras.Input((None,), dtype="int32", name="tokens")}
    model = keras.Model(inputs, make()(inputs).logits)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    tokens, targets = IDS[:40].reshape(8, 5), IDS[1:41].reshape(8, 5)
    losses = model.fit({"tokens": tokens}, targets, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
