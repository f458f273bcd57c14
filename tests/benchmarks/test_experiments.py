"""The experiment table is consistent, and the apps accept its commands."""

from importlib import import_module

import pytest
from click.core import ParameterSource

from apps.language_modeling.options import Train
from apps.options import resolve
from benchmarks.scores import language_modeling
from benchmarks.scores.catalog import EXPERIMENTS, TABLES
from benchmarks.scores.experiment import Experiment
from benchmarks.scores.sources import PTB, SST2

TASKS = ("sentiment", "language_modeling", "translation", "forecasting")


def parsed(task: str, verb: str, arguments: list[str]) -> dict:
    """Returns the options that the arguments set."""
    command = import_module(f"apps.{task}.__main__").main.commands[verb]
    context = command.make_context(verb, arguments)
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_the_app_accepts_the_commands(experiment, tmp_path, monkeypatch):
    data = tmp_path / experiment.data(3)
    data.parent.mkdir(parents=True, exist_ok=True)
    data.touch() if data.suffix else data.mkdir()
    monkeypatch.chdir(tmp_path)
    values = parsed(experiment.task, "train", experiment.arguments(3))
    assert values["seed"] == 3
    resolve(import_module(f"apps.{experiment.task}.options").Train, values).check()
    parsed(experiment.task, "evaluate", list(experiment.evaluate))
    for quantize in experiment.files:
        parsed(experiment.task, "convert", ["--quantize", quantize, *experiment.convert])


def test_every_experiment_is_in_a_table():
    shown = {each.name for table in TABLES.values() for each in table.experiments}
    assert shown == set(EXPERIMENTS)
    assert {each.task for each in EXPERIMENTS.values()} == set(TASKS)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.layout != "overview"])
def test_the_rows_of_a_table_have_the_same_scores(name):
    table = TABLES[name]
    assert table.layout == "sizes" or len({each.scores for each in table.experiments}) == 1


def test_short_trainings_have_five_seeds():
    settings = {
        "name": "x",
        "task": "sentiment",
        "source": SST2,
        "model": "",
        "train": (),
        "scores": ("bleu",),
    }
    with pytest.raises(ValueError, match="must have 5 seeds"):
        Experiment(**settings, minutes=9, seeds=3)
    assert Experiment(**settings, minutes=10, seeds=3).seeds == 3
    with pytest.raises(ValueError, match="must have 1 or 3 or 5 seeds"):
        Experiment(**settings, minutes=60, seeds=2)
    with pytest.raises(ValueError, match="cannot be cut"):
        Experiment(**{**settings, "source": PTB}, minutes=1, cut=100)


def test_each_seed_has_its_own_cut():
    experiment = EXPERIMENTS["sst2-100"]
    assert experiment.command(2) == "python -m apps.sentiment train --data sst2-100-2 --seed 2"
    assert EXPERIMENTS["sst2"].command(2) == "python -m apps.sentiment train --data sst2 --seed 2"


@pytest.mark.slow
@pytest.mark.parametrize("experiment", language_modeling.CELLS, ids=lambda experiment: experiment.name)
def test_the_compared_cells_have_as_many_parameters_as_the_default_model(experiment):
    """Vocabulary of Penn Treebank: 10,000 words, padding and the start token."""

    def parameters(arguments: list[str]) -> int:
        from apps.language_modeling import task
        from apps.language_modeling.defaults import choose

        options, _ = choose(resolve(Train, parsed("language_modeling", "train", arguments)), tokens=900_000)
        return task.build(options, range(10_002)).count_params()

    if experiment.name != "ptb-untied":
        expected = parameters([])
        assert parameters(list(experiment.train)) == pytest.approx(expected, rel=0.02)


def test_parameters_of_the_default_model():
    """Embedding and output share one matrix; an LSTM of h units on d inputs has 4 h (d + h + 1) weights."""
    from apps.language_modeling import task
    from apps.language_modeling.defaults import choose

    units, vocabulary = 200, 10_002
    expected = vocabulary * units + vocabulary + 2 * 4 * units * (2 * units + 1)
    options, _ = choose(Train(), tokens=900_000)
    assert task.build(options, range(vocabulary)).count_params() == expected
