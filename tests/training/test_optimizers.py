"""Schedules, optimizers and clipping compared with their formulas."""

import inspect
import math

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from seqmodels.registry import CLIP_BY, CURVES, OPTIMIZERS
from seqmodels.training import Settings, Training
from seqmodels.training.objectives import classification
from seqmodels.training.optimizers import Schedule, clip, make

PEAK, STEPS, WARMUP, FINAL = 0.4, 101, 20, 0.05
DECAYS = {
    "constant": lambda p: 1.0,
    "linear": lambda p: 1 - 0.95 * p,
    "cosine": lambda p: FINAL + (1 - FINAL) * (1 + math.cos(math.pi * p)) / 2,
    "exponential": lambda p: FINAL**p,
}


def rates(kind, warmup=WARMUP, steps=STEPS):
    schedule = Schedule(PEAK, kind, steps, warmup, FINAL)
    return [float(schedule(step)) for step in range(steps)]


def test_every_schedule_has_its_formula():
    assert set(DECAYS) == set(CURVES)


@pytest.mark.parametrize("kind", CURVES)
def test_schedule_rises_to_the_peak_and_decays_to_the_last_step(kind):
    computed = rates(kind)
    expected = [PEAK * (step + 1) / WARMUP for step in range(WARMUP)]
    expected += [PEAK * DECAYS[kind]((step - WARMUP) / (STEPS - 1 - WARMUP)) for step in range(WARMUP, STEPS)]
    np.testing.assert_allclose(computed, expected, rtol=1e-5)
    assert computed[0] == pytest.approx(PEAK / WARMUP)
    assert computed[WARMUP - 1] == computed[WARMUP] == pytest.approx(PEAK)
    assert computed[-1] == pytest.approx(PEAK if kind == "constant" else FINAL * PEAK)


@pytest.mark.parametrize("kind", CURVES)
def test_schedule_without_warmup_starts_at_the_peak_and_keeps_its_last_value(kind):
    schedule = Schedule(PEAK, kind, STEPS, final=FINAL)
    assert float(schedule(0)) == pytest.approx(PEAK)
    assert float(schedule(STEPS + 50)) == float(schedule(STEPS - 1))
    assert rates(kind, warmup=0, steps=1) == [pytest.approx(PEAK)]


def test_schedule_is_restored_from_its_config():
    schedule = Schedule(PEAK, "cosine", STEPS, WARMUP, FINAL)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.1, "square", 10), "schedule must be one of constant, cosine.*; got 'square'"),
        (
            (0.1, "linear", 10, 10),
            "warm-up must be at least 0 and less than the 10 steps of the training; got 10",
        ),
        ((0.1, "linear", 10, -1), "warm-up must be at least 0 .*; got -1"),
    ],
)
def test_schedule_refuses_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Schedule(*arguments)


def test_registry_has_all_keras_optimizers_except_wrappers_and_schedule_free():
    base = keras.optimizers.Optimizer
    found = {
        name
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value) and issubclass(value, base)
    }
    without = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}
    assert without < found
    assert {name.lower() for name in found - without} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_a_step_downhill_on_the_schedule(name):
    variables = [keras.Variable(np.full(shape, 0.5), dtype="float32") for shape in [(4, 3), (3,), ()]]
    optimizer = make(name, Schedule(0.01, "linear", 10))
    optimizer.build(variables)

    @tf.function(jit_compile=True)
    def step():
        optimizer.apply([tf.ones(variable.shape) for variable in variables], variables)

    step()
    assert int(optimizer.iterations) == 1
    for variable in variables:
        assert np.all(np.isfinite(variable.numpy()))
        assert np.all(variable.numpy() < 0.5)


def test_weight_decay_is_decoupled_and_scales_with_the_learning_rate():
    variable = keras.Variable([1.0, -2.0], dtype="float32")
    optimizer = make("sgd", 0.1, weight_decay=0.5)
    optimizer.build([variable])
    optimizer.apply([tf.zeros(2)], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.95, -1.9], rtol=1e-6)


def test_none_keeps_the_default_of_an_option():
    assert make("adamw", 0.1, weight_decay=None).weight_decay == keras.optimizers.AdamW().weight_decay
    assert make("adam", 0.1, weight_decay=None).weight_decay is None


def test_mixed_float16_scales_the_loss():
    optimizer = make("sgd", 0.1, mixed_float16=True)
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(optimizer.inner_optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adem", {}, "optimizer must be one of adadelta, .*sgd.*; got 'adem'"),
        ("Adam", {}, "optimizer must be one of .*; got 'Adam'"),
        ("sgd", {"beta_1": 0.9}, "optimizer sgd cannot be created with the options beta_1 "),
    ],
)
def test_unknown_names_and_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, 0.1, **options)


def clipped(arrays, threshold, by):
    gradients, norm, changed = clip([tf.constant(array, tf.float32) for array in arrays], threshold, by)
    return [gradient.numpy() for gradient in gradients], float(norm), bool(changed)


GRADIENTS = [np.array([[3.0, 0.0], [-4.0, 0.0]]), np.array([0.0, 12.0])]  # norms 5 and 12; global norm 13


@pytest.mark.parametrize("threshold", [None, 20.0, 13.0])
@pytest.mark.parametrize("by", CLIP_BY)
def test_nothing_changes_at_or_below_the_threshold(by, threshold):
    gradients, norm, changed = clipped(GRADIENTS, threshold, by)
    assert norm == 13
    assert not changed
    for gradient, before in zip(gradients, GRADIENTS):
        np.testing.assert_allclose(gradient, before, rtol=1e-6)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("global", [np.array([[3.0, 0.0], [-4.0, 0.0]]) * 2 / 13, np.array([0.0, 12.0]) * 2 / 13]),
        ("variable", [np.array([[3.0, 0.0], [-4.0, 0.0]]) * 2 / 5, np.array([0.0, 2.0])]),
        ("value", [np.array([[2.0, 0.0], [-2.0, 0.0]]), np.array([0.0, 2.0])]),
    ],
)
def test_clipping_worked_by_hand(by, expected):
    gradients, norm, changed = clipped(GRADIENTS, 2.0, by)
    assert norm == 13
    assert changed
    for gradient, wanted in zip(gradients, expected):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6)


TWO = [np.array([3.0, 3.0]), np.array([-3.0, 3.0])]  # norms 4.2 and 4.2; global norm 6


@pytest.mark.parametrize("by", CLIP_BY)
@pytest.mark.parametrize("threshold", [2.0, 4.0, 5.0, 7.0])
def test_step_counts_as_clipped_only_if_the_gradient_changes(by, threshold):
    gradients, _, changed = clipped(TWO, threshold, by)
    same = all(np.allclose(gradient, before, rtol=1e-6) for gradient, before in zip(gradients, TWO))
    assert changed == (not same)
    assert changed == (threshold < {"global": 6, "variable": math.sqrt(18), "value": 3}[by])


numbers = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=3), st.floats(1e-3, 1e3))
def test_global_clipping_keeps_the_direction_and_bounds_the_norm(lists, threshold):
    before = np.concatenate(lists)
    gradients, norm, _ = clipped([np.array(numbers) for numbers in lists], threshold, "global")
    after = np.concatenate(gradients).astype(np.float64)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-5, abs=1e-6)
    assert np.linalg.norm(after) <= min(np.linalg.norm(before), threshold) * (1 + 1e-5) + 1e-6
    scale = min(1.0, threshold / np.linalg.norm(before)) if before.any() else 1.0
    np.testing.assert_allclose(after, before * scale, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("by", CLIP_BY)
def test_clipping_never_hides_an_overflow(by):
    gradients, norm, changed = clipped([np.array([np.inf, 1.0])], 1.0, by)
    assert norm == math.inf
    assert changed
    assert not np.all(np.isfinite(gradients[0]))


def test_unknown_clip_by_is_refused():
    with pytest.raises(ValueError, match="clip_by must be one of global, variable, value; got 'norm'"):
        clip([tf.ones(2)], 1.0, "norm")


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_variable_of_an_optimizer_is_stored(name, scaled, tmp_path):
    """A variable that is missing from ``variables`` would be lost when a training resumes."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = make(name, 0.1, mixed_float16=scaled)
    Training(model, classification(), optimizer, None, None, Settings(epochs=1), tmp_path)
    stored = {id(variable) for variable in optimizer.variables}
    parts = [optimizer, *([optimizer.inner_optimizer] if scaled else [])]
    owned = {key: v for part in parts for key, v in vars(part).items() if isinstance(v, keras.Variable)}
    assert [key for key, variable in owned.items() if id(variable) not in stored] == []
