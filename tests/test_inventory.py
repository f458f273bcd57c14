"""The same checks for every public layer and model; ``inventory.py`` has one row per part."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import inventory
import keras
import numpy as np
import pytest
import tensorflow as tf
from inventory import LENGTHS, PARTS, assert_same, call, floats, gradients, scalar

from apps.gradients.window_classifier import WindowClassifier
from seqmodels import cells, layers, models, registry

# Whole models; each of their parts has rows of its own, and tests/models compares them with NumPy.
MODELS = [
    name for name in PARTS if name.startswith(("Classifier", "Forecaster", "LanguageModel", "Translator"))
]
LIGHT = [pytest.param(name, marks=pytest.mark.slow) if name in MODELS else name for name in PARTS]
TRAINABLE = [name for name, part in PARTS.items() if part.weights]
PADDED = [name for name, part in PARTS.items() if part.padded]
# Lengths and number of steps T of four batches: with padding, with T = 1, with T = 0, and without rows.
SHAPES = [((2, 3, 0), 4), ((1,), 1), ((0, 0), 0), ((), 3)]


def assert_finite(nested: Any) -> None:
    assert all(np.isfinite(leaf).all() for leaf in floats(nested))


def free(leaf: tf.Tensor, windowed: bool) -> list[int | None]:
    """Returns the shape of an argument with a dynamic batch size and a dynamic number of steps.

    States ``(n, units)`` are floats of rank 2 and have no time axis. A windowed part keeps its number of
    steps.
    """
    if windowed:
        return [None, *leaf.shape[1:]]
    is_sequence = leaf.shape.rank == 3 or (leaf.shape.rank == 2 and leaf.dtype.is_integer)
    return [None, None, *leaf.shape[2:]] if is_sequence else [None, *leaf.shape[1:]]


def public_classes(module: ModuleType) -> set[type]:
    members = [getattr(module, name) for name in module.__all__]
    return {member for member in members if inspect.isclass(member) and issubclass(member, keras.Layer)}


def own_options(part: keras.Layer) -> set[str]:
    """Returns the named arguments of the constructors in this library, including base classes."""
    ours = [
        kind
        for kind in type(part).__mro__
        if kind.__module__.startswith("seqmodels") and "__init__" in vars(kind)
    ]
    parameters = [each for kind in ours for each in inspect.signature(kind).parameters.values()]
    fixed = inventory.FIXED.get(type(part).__name__, set())
    return {each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD} - fixed


def test_every_public_part_has_a_row() -> None:
    made = {type(part.make(dtype="float32")) for part in PARTS.values()}
    assert (
        made
        == (public_classes(cells) | public_classes(layers) | public_classes(models) | {WindowClassifier})
        - inventory.BASES
    )


@pytest.mark.parametrize(
    ("rows", "names", "options"),
    [
        (inventory.CELLS, registry.CELLS, {"units": 3}),
        (inventory.POOLINGS, registry.POOLINGS, {}),
        (inventory.ATTENTIONS, registry.ATTENTIONS, {}),
    ],
    ids=["cells", "poolings", "attentions"],
)
def test_every_name_of_the_registry_has_a_row(rows: Any, names: Any, options: dict) -> None:
    assert set(rows) == set(names)
    for name, make in rows.items():
        assert type(registry.make(names, name, **options)) is type(make(**options))


def test_every_cell_has_a_reference() -> None:
    assert set(inventory.REFERENCES) == set(registry.CELLS)


@pytest.mark.parametrize("name", PARTS)
def test_config_round_trip(name: str) -> None:
    part, sample = PARTS[name].built(), PARTS[name].arguments()
    config = json.dumps(part.get_config())
    assert own_options(part) <= set(part.get_config())
    twin = type(part).from_config(json.loads(config))
    call(twin, sample)
    assert json.dumps(twin.get_config()) == config
    twin.set_weights(part.get_weights())
    assert len(part.trainable_weights) == PARTS[name].weights
    assert_same(call(twin, sample), call(part, sample))


@pytest.mark.parametrize("name", PARTS)
def test_keras_file_round_trip(name: str, tmp_path: Path) -> None:
    part, sample = PARTS[name].built(), PARTS[name].arguments()
    windowed = PARTS[name].windowed
    symbols = tf.nest.map_structure(
        lambda leaf: keras.Input(free(leaf, windowed)[1:], dtype=leaf.dtype.name), sample
    )
    model = keras.Model(tf.nest.flatten(symbols), tf.nest.flatten(call(part, symbols)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(loaded(tf.nest.flatten(sample)), call(part, sample))


@pytest.mark.parametrize("name", PADDED)
def test_padding_never_matters(name: str) -> None:
    part, sample = PARTS[name].built(), PARTS[name].arguments(time=6)
    other = dict(sample)
    for argument in PARTS[name].padded:
        content = sample[argument].numpy()
        for row, length in enumerate(LENGTHS):
            content[row, length:] = 7 if content.dtype.kind == "i" else 1e4
        other[argument] = tf.constant(content)
    assert_same(call(part, other), call(part, sample))


@pytest.mark.parametrize("name", PADDED)
def test_padding_has_no_gradient(name: str) -> None:
    part, sample = PARTS[name].built(), PARTS[name].arguments(time=6)
    sequences = [sample[argument] for argument in PARTS[name].padded if sample[argument].dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(sequences)
        loss = scalar(call(part, sample, training=True))
    for gradient in tape.gradient(loss, sequences, unconnected_gradients="zero"):
        for row, length in enumerate(LENGTHS):
            assert not np.any(gradient[row, length:])


@pytest.mark.parametrize("name", LIGHT)
def test_gradients_match_central_differences(name: str) -> None:
    """Checks one random direction per weight and argument, so every wrong entry changes the result.

    Training runs the kernels. The central differences are computed without the kernels.
    """
    part, sample = PARTS[name].built("float64"), PARTS[name].arguments(dtype="float64", time=5)
    analytic = gradients(part, sample)
    rng, epsilon = np.random.default_rng(3), 1e-5
    moves = [rng.normal(size=gradient.shape) for gradient in analytic]
    count = len(part.trainable_weights)

    def moved(index: int, size: float) -> float:
        """Returns the loss if one weight or argument is moved by ``size`` along its direction."""
        if index < count:
            weight = part.trainable_weights[index]
            weight.assign_add(size * moves[index])
            loss = scalar(call(part, sample))
            weight.assign_sub(size * moves[index])
            return float(loss)
        leaves = tf.nest.flatten(sample)
        position = [at for at, leaf in enumerate(leaves) if leaf.dtype.is_floating][index - count]
        leaves[position] += size * moves[index]
        return float(scalar(call(part, tf.nest.pack_sequence_as(sample, leaves))))

    for index, (gradient, move) in enumerate(zip(analytic, moves)):
        numeric = (moved(index, epsilon) - moved(index, -epsilon)) / (2 * epsilon)
        assert np.sum(gradient * move) == pytest.approx(numeric, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_weight_learns(name: str) -> None:
    part, sample = PARTS[name].built(), PARTS[name].arguments()
    by_weights = gradients(part, sample)[: PARTS[name].weights]
    assert all(np.any(gradient) for gradient in by_weights)

    def loss() -> tf.Tensor:
        outputs = floats(call(part, sample, training=True))
        return tf.add_n([tf.reduce_mean(tf.square(output - 1.0)) for output in outputs])

    with tf.GradientTape() as tape:
        before = loss()
    steps = tape.gradient(before, [weight.value for weight in part.trainable_weights])
    keras.optimizers.SGD(1e-2 / PARTS[name].size ** 2).apply(steps, part.trainable_weights)
    assert loss() < before


@pytest.mark.parametrize("name", PARTS)
def test_float64_agrees_with_float32(name: str) -> None:
    single = call(PARTS[name].built("float32"), PARTS[name].arguments())
    double = call(PARTS[name].built("float64"), PARTS[name].arguments(dtype="float64"))
    assert all(output.dtype == tf.float32 for output in floats(single))
    assert all(output.dtype == tf.float64 for output in floats(double))
    assert_same(single, double, tolerance=1e-5 * PARTS[name].size)


@pytest.mark.parametrize("name", PARTS)
def test_mixed_float16(name: str) -> None:
    """Layers return float16; models return float32."""
    part, sample = PARTS[name].built("mixed_float16"), PARTS[name].arguments()
    outputs = call(part, sample)
    expected = tf.float32 if isinstance(part, keras.Model) else tf.float16
    assert all(output.dtype == expected for output in floats(outputs))
    assert all(weight.dtype == "float32" for weight in part.trainable_weights)
    assert_same(
        [tf.cast(output, tf.float32) for output in floats(outputs)],
        floats(call(PARTS[name].built("float32"), sample)),
        tolerance=2e-2 * PARTS[name].size,
    )
    assert_finite(gradients(part, sample))


@pytest.mark.parametrize("name", LIGHT)
def test_any_batch_and_time(name: str) -> None:
    """One graph with dynamic batch size and time equals calls with static shapes, without NaN."""
    part = PARTS[name].built()
    signature = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec(free(leaf, PARTS[name].windowed), leaf.dtype), PARTS[name].arguments()
    )
    graph = tf.function(
        lambda sample: (call(part, sample), gradients(part, sample)),
        input_signature=[signature],
        autograph=False,
    )
    for lengths, time in SHAPES:
        sample = PARTS[name].arguments(lengths, time)
        outputs, derivatives = graph(sample)
        assert_finite((outputs, derivatives))
        assert_same(outputs, call(part, sample), tolerance=1e-6 * PARTS[name].size)
        assert_same(derivatives, gradients(part, sample), tolerance=1e-5 * PARTS[name].size)
