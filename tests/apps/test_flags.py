"""Every flag of every app has an effect: on the model, on the training loop, or on code that reads it."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from apps.forecasting.data import Assets
from apps.options import ConvertOptions, ExportOptions, InfoOptions, TrainOptions, resolve
from apps.sentiment.kinds import SingleLabel
from apps.task import load_task
from apps.training import make_training
from apps.tune_options import TuneOptions

ROOT = Path(__file__).parents[2]
TASKS = ("sentiment", "language_modeling", "translation", "forecasting")
SMALL = {"units": 4, "embedding_units": 4, "decoder_units": 8, "vocabulary": 30, "layers": 1}
# A test changes a flag to its next choice or to its value plus 1. For the flags in this table, a model with
# such a value and the options in SMALL cannot be built. They are changed to the values in this table instead.
OTHER: dict[str, Any] = {
    "pooling": "mean",
    "attention": "additive",
    "cutoffs": "5,9",
    "samples": 8,
    "ngrams": 3,
    "decoder": "autoregressive",
}
# No code reads these flags as an attribute. The code reads them by name: as explicit options, or as fields of
# a Decoding.
BY_NAME = {"preset", "minimum", "maximum", "best", "no_repeat"}
BESIDE: dict[str, dict[str, Any]] = {
    "window": {"model": "fixed-window"},
    "cutoffs": {"tied": False},
    "layer_dropout": {"layers": 2},
    "average_after": {"average": 0.9},
    "warmup": {"schedule": "cosine"},
}


# Values of options that the task would choose from the data. The other ones are 8.
CHOSEN = {"epochs": 3, "minimum_count": 1, "layers": 2, "optimizer": "adam", "learning_rate": 0.01}
CHOSEN |= {"clipnorm": 1.0, "buckets": 2, "unit": "word", "output": "single-label", "dropout": 0.2}
CHOSEN |= {f"{place}_dropout": 0.2 for place in ("embedding", "input", "layer", "output", "weight")}


def assets(task: str) -> Any:
    """Returns a substitute for the assets with the sizes that ``build`` reads."""
    if task == "forecasting":
        fields = dict.fromkeys(Assets.__dataclass_fields__)
        known = {"kind": "values", "names": ["a"], "lookback": 12, "horizon": 3, "segment": 1, "season": 1}
        return Assets(**{**fields, **known, "series_units": 0, "periods": [], "known": [], "static": []})
    sizes = {"tokenizer": range(30), "source_tokenizer": range(30), "target_tokenizer": range(30)}
    if task == "language_modeling":
        return range(30)
    return SimpleNamespace(**sizes, kind=SingleLabel("ab"), linear=None)


def changed(declared: Any, kind: type, value: Any) -> Any:
    """Returns a different value that the flag accepts."""
    choices, low, high = (declared.metadata[name] for name in ("choices", "minimum", "maximum"))
    if declared.name in OTHER:
        return OTHER[declared.name]
    if choices:
        return next(choice for choice in choices if choice != value)
    if kind is bool:
        return not value
    if kind is str:
        return f"{value or ''}x"
    new = kind((value or 0) + 1) if high is None or (value or 0) + 1 <= high else kind((low + high) / 4)
    return new if new != value else kind(value / 2)


def model_flags() -> list[Any]:
    found = []
    for task in TASKS:
        for declared, kind, _ in load_task(task).Train.declared():
            if declared.metadata["model"]:
                found.append(pytest.param(task, declared, kind, id=f"{task} {declared.name}"))
    return found


def small(task: Any, **more: Any) -> TrainOptions:
    names = {one.name for one, _, _ in task.Train.declared()}
    options = resolve(task.Train, {**{name: SMALL[name] for name in SMALL.keys() & names}, **more})
    values = {one.name: CHOSEN.get(one.name, 8) for one, _, _ in task.Train.declared()}
    return options.with_chosen(values)


@pytest.mark.parametrize(("name", "declared", "kind"), model_flags())
def test_a_model_flag_changes_the_config(name: str, declared: Any, kind: type) -> None:
    task = load_task(name)
    options = small(task, **BESIDE.get(declared.name, {}))
    value = changed(declared, kind, getattr(options, declared.name))
    other = replace(options, **{declared.name: value})
    configs = [task.build(each, assets(name)).get_config() for each in (options, other)]
    assert configs[0][declared.name] != configs[1][declared.name]
    assert configs[1][declared.name] == value


LOOP = (
    *("epochs", "optimizer", "learning_rate", "schedule", "warmup", "weight_decay", "clipnorm", "clip_by"),
    *("patience", "average", "average_after", "average_epochs", "minutes", "xla", "parts", "save_minutes"),
)


def described(options: TrainOptions, folder: Path) -> tuple[Any, Any, Any]:
    """Returns the settings and the optimizer of a training."""
    nothing = tf.data.Dataset.range(20)

    def build() -> Any:
        import keras

        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    training = make_training(options, build, lambda *_: None, lambda _: nothing, lambda: nothing, folder)
    return training.settings, type(training.optimizer), repr(training.optimizer.get_config())


@pytest.mark.parametrize("name", LOOP)
def test_a_training_flag_changes_the_training(name: str, tmp_path: Path) -> None:
    (declared, kind) = next((one, kind) for one, kind, _ in TrainOptions.declared() if one.name == name)
    options = TrainOptions(**BESIDE.get(name, {}))
    other = replace(options, **{name: changed(declared, kind, getattr(options, name))})
    assert described(options, tmp_path) != described(other, tmp_path)


def reads(paths: list[Path]) -> set[str]:
    """Returns the names of all attributes that the code reads or sets."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


@pytest.mark.parametrize("name", TASKS)
def test_every_other_flag_is_read_somewhere(name: str) -> None:
    task, options = load_task(name), import_module(f"apps.{name}.options")
    classes = {value for value in vars(options).values() if inspect.isclass(value)}
    classes |= {
        task.Train,
        task.Evaluate,
        task.Predict,
        task.Convert,
        ExportOptions,
        ConvertOptions,
        InfoOptions,
        TuneOptions,
    }
    code = [*(ROOT / "apps" / name).rglob("*.py"), *(ROOT / "apps").glob("*.py")]
    known = reads(code)
    for kind in classes:
        for declared in getattr(kind, "__dataclass_fields__", {}).values():
            if declared.metadata.get("model"):
                continue
            assert declared.name in known | BY_NAME, f"--{declared.name} of {kind.__name__} is never read"
