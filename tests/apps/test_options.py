"""Option classes: declarations, precedence and storage, without TensorFlow."""

import json
import re
from dataclasses import asdict, fields
from importlib import import_module

import pytest

from apps.forecasting.readers import load_series
from apps.gradients.options import EXPERIMENTS
from apps.language_modeling.corpora import load_texts
from apps.options import AUTO, check_data, flag, resolve, restore
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.sentiment.options import Evaluate, Predict, Train
from apps.translation.pairs import load_pairs
from apps.tune_options import TuneOptions
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS, OPTIMIZERS, POOLINGS

CLASSES = (*(kind for kind, _ in EXPERIMENTS.values()), Train, Evaluate, Predict, TuneOptions)
DEFAULTS = Train()


@pytest.mark.parametrize("options", CLASSES)
def test_every_option_has_help_a_type_and_an_allowed_default(options):
    for declared, kind, optional in options.declared():
        metadata, default = declared.metadata, declared.default
        assert metadata["help"].endswith("."), declared.name
        assert kind in (bool, int, float, str), declared.name
        if metadata["auto"]:
            assert default == AUTO, declared.name
            continue
        assert (default is None and optional) or isinstance(default, kind), declared.name
        assert metadata["choices"] is None or default in metadata["choices"], declared.name
        if kind in (int, float) and default is not None:
            assert metadata["minimum"] is not None, declared.name
            assert metadata["minimum"] <= default, declared.name
            assert metadata["maximum"] is None or default <= metadata["maximum"], declared.name


@pytest.mark.parametrize("preset", Train.presets)
def test_every_preset_sets_existing_options_to_allowed_values(preset):
    declared = {one.name: (one.metadata, kind) for one, kind, _ in Train.declared()}
    assert preset in declared["preset"][0]["choices"]
    for name, value in Train.presets[preset].items():
        metadata, kind = declared[name]
        assert isinstance(value, kind), name
        assert metadata["choices"] is None or value in metadata["choices"], name
        assert metadata["minimum"] is None or value >= metadata["minimum"], name
        assert value != getattr(DEFAULTS, name), f"{preset} repeats the default of {name}"
    Train(**Train.presets[preset]).check()


def test_explicit_options_override_presets_and_presets_override_defaults():
    quick = Train.presets["quick"]
    assert quick["units"] != DEFAULTS.units
    assert resolve(Train, {}) == DEFAULTS
    chosen = resolve(Train, {"preset": "quick"})
    assert asdict(chosen) == {**asdict(DEFAULTS), **quick, "preset": "quick"}
    assert resolve(Train, {"preset": "quick", "units": 7}).units == 7
    assert resolve(Train, {"preset": "quick", "units": DEFAULTS.units}).units == DEFAULTS.units


def test_stored_options_survive_json_without_the_options_of_one_call():
    chosen = resolve(Train, {"data": "x.csv", "units": 7, "patience": None, "run": "r", "overwrite": True})
    stored = json.loads(json.dumps(chosen.stored()))
    assert set(asdict(chosen)) - set(stored) == {"run", "options", "overwrite", "dry_run", "save_minutes"}
    assert restore(Train, stored, "options.json") == resolve(Train, {**stored, "run": ""})


def test_a_newer_option_gets_its_default_in_an_old_run():
    stored = Train(units=7).stored()
    del stored["parts"]
    assert restore(Train, stored, "options.json") == Train(units=7)


def test_a_removed_option_is_an_error():
    stored = {**Train().stored(), "fancy": 1}
    with pytest.raises(UsageError, match=r"run/options.json contains .*fancy.* train the run again"):
        restore(Train, stored, "run/options.json")


@pytest.mark.parametrize("data", ["embedded", "embedded:reviews", "tfds:imdb_reviews", __file__, "."])
def test_data_is_a_path_or_a_catalogue_name(data):
    check_data(data)
    Train(data=data).check()


@pytest.mark.parametrize("options", [Train, Evaluate])
@pytest.mark.parametrize("data", ["no/such.csv", "", "csv:x", "embeded"])
def test_data_that_does_not_exist_is_refused(options, data):
    with pytest.raises(UsageError, match=f"--data {data} does not exist; pass a file, a folder, 'embedded'"):
        options(data=data).check()


@pytest.mark.parametrize(
    ("app", "load"),
    [
        ("sentiment", load_labeled_texts),
        ("language_modeling", load_texts),
        ("forecasting", load_series),
        ("translation", load_pairs),
    ],
)
def test_the_help_of_data_lists_all_embedded_data(app, load):
    options = import_module(f"apps.{app}.options").Train
    (metadata,) = (one.metadata for one, _, _ in options.declared() if one.name == "data")
    (named,) = re.findall("in the package: (.*); 'embedded' is short for", metadata["help"])
    with pytest.raises(UsageError) as error:
        load("embedded:nothing", seed=0)
    there = re.findall(r"embedded:(\w+)", str(error.value))
    assert re.findall(r"embedded:(\w+)", named) == [name for name in there if name != "nothing"]


@pytest.mark.parametrize("pooling", ["", "max+", "median", "max+mean+latest", "max + mean"])
def test_an_unknown_pooling_is_refused(pooling):
    with pytest.raises(UsageError, match=r"--pooling '.*' is unknown; use last, mean, max, attention, or"):
        Train(pooling=pooling).check()


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_dropout"])
def test_a_dropout_without_effect_on_the_cell_is_refused(option):
    with pytest.raises(UsageError, match=r"--cell mingru has no recurrent weights"):
        Train(cell="mingru", **{option: 0.1}).check()


def test_poolings_can_be_joined_but_not_repeated():
    assert Train(pooling="+".join(POOLINGS)).check() is None
    with pytest.raises(UsageError, match=r"repeats a method"):
        Train(pooling="max+max").check()


def test_a_missing_file_of_embeddings_is_refused(tmp_path):
    for path in (tmp_path / "glove.txt", tmp_path):
        with pytest.raises(UsageError, match=f"--embeddings {path} (does not exist|is a folder); pass"):
            Train(embeddings=str(path)).check()


def test_choices_equal_the_registry():
    choices = {one.name: one.metadata["choices"] for one in fields(Train)}
    assert choices["cell"] == tuple(CELLS)
    assert choices["optimizer"] == OPTIMIZERS


def test_flags_are_names_with_dashes():
    assert flag("batch_size") == "--batch-size"
    assert flag("from_") == "--from"
