"""The verb ``tune``: search spaces, the study, its report, and ``train --options FILE``."""

from __future__ import annotations

import itertools
import json
import math
import re
import shlex
import shutil
from dataclasses import fields
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from PIL import Image

import apps.cli
from apps import tune_options
from apps.language_modeling.options import Train as LanguageModel
from apps.options import AUTO, changes, resolve
from apps.run import Run
from apps.search import Dimension, contains, ends, ranges
from apps.sentiment.__main__ import main
from apps.sentiment.options import Train
from apps.study import Failed, Stopped, TuningStudy
from apps.tune_options import KEEP, TuneOptions, choose, search_space, tune_declared, usual_parameters
from apps.tuning_report import importance, line, report, summary, table, write_report
from seqmodels.errors import DataError, UserError

TASKS = ("sentiment", "language_modeling", "translation", "forecasting")
OPTIMUM = 0.005  # learning rate with the best score of the stub objective
FIXED = {"epochs": 3, "cell": "gru"}


def option_class(task):
    return import_module(f"apps.{task}.options").Train


@pytest.mark.parametrize("task", TASKS)
def test_every_search_range_is_inside_the_bounds_of_its_option(task):
    train = option_class(task)
    names = [each.name for each in search_space(train, {})]
    assert {"units", "layers", "cell", "dropout", "learning_rate", "batch_size"} <= {
        *names,
        *(["dropout"] if "output_dropout" in names else []),
    }
    for declared, kind, optional in train.declared():
        metadata, search = declared.metadata, declared.metadata["search"]
        for candidates in [] if search is None else ranges(search):
            for value in ends(candidates):
                assert isinstance(value, kind) or (value is None and optional), declared.name
                assert metadata["choices"] is None or value in metadata["choices"], declared.name
                assert metadata["minimum"] is None or value >= metadata["minimum"], declared.name
                assert metadata["maximum"] is None or value <= metadata["maximum"], declared.name
            if isinstance(candidates, list):
                assert len(set(candidates)) == len(candidates), declared.name
            else:
                assert candidates[0] < candidates[1], declared.name
                assert candidates[2:] in ((), ("log",)), declared.name
                assert candidates[0] > 0 or not candidates[2:], declared.name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("preset", ["quick", "default", "best"])
def test_the_options_of_every_preset_are_in_the_search_space(task, preset):
    train, fixed = option_class(task), {"preset": preset}
    usual, seen = resolve(train, fixed), []

    def ask(label, dimension, candidates):
        value = getattr(usual, dimension.name)
        seen.append(dimension.name)
        if value == AUTO and not isinstance(candidates, list):
            return KEEP
        assert contains(candidates, value), dimension.name
        return value

    assert resolve(train, {**fixed, **choose(train, fixed, ask)}) == usual
    assert len(seen) > 4


def test_an_option_that_the_user_sets_is_not_searched():
    names = {each.name for each in search_space(Train, {"units": 7, "data": "embedded"})}
    assert "units" not in names
    assert "layers" in names


def test_options_of_the_model_are_not_searched_with_from():
    names = {each.name for each in search_space(Train, {"from_": "run"})}
    assert names == {"batch_size", "learning_rate", "label_smoothing"}


@pytest.mark.parametrize(
    ("train", "fixed", "absent"),
    [
        (LanguageModel, {"layers": 1}, {"layer_dropout"}),
        (LanguageModel, {"cell": "mingru"}, {"weight_dropout"}),
        (LanguageModel, {"model": "fixed-window"}, {"cell", "layers", "layer_dropout", "weight_dropout"}),
        (Train, {"reads": "evidence"}, {"embedding_units"}),
        (option_class("forecasting"), {"architecture": "nlinear"}, {"cell", "layers", "units"}),
    ],
)
def test_an_option_that_does_not_apply_is_left_out(train, fixed, absent):
    named = set(usual_parameters(train, fixed))
    assert not named & absent
    assert {each.name for each in search_space(train, fixed)} >= absent


def test_the_range_of_the_learning_rate_depends_on_the_optimizer():
    rates = Dimension(
        "learning_rate", float, LanguageModel.__dataclass_fields__["learning_rate"].metadata["search"]
    )
    labels = [rates.at(resolve(LanguageModel, {"optimizer": name})) for name in ("sgd", "adam")]
    assert labels == [("learning_rate (sgd)", (1.0, 50.0, "log")), ("learning_rate", (2e-4, 2e-2, "log"))]


class Stub:
    """An objective that needs no model. It reports one score per epoch, which is best at OPTIMUM."""

    def __init__(self):
        self.options = []

    def __call__(self, work):
        self.options.append(work.options)
        distance = abs(math.log(work.options.learning_rate / OPTIMUM))
        for epoch in range(1, work.options.epochs + 1):
            work.trial.report(distance + 1 / epoch, epoch)
            if work.trial.should_prune():
                raise optuna.TrialPruned
        return distance + 1 / work.options.epochs


@pytest.fixture
def study(tmp_path):
    """Returns a function that opens the study in a run directory, as a new process does."""

    def open_study(fixed=FIXED, sha256="abc", task="sentiment", folder=tmp_path / "run", **options):
        made = TuningStudy(Run(folder), task, Train, TuneOptions(**options), fixed, ("valid_loss", False))
        made.open(sha256)
        return made

    return open_study


def never():
    return False


def work(study, objective=None, stop=never):
    ended = []
    study.work(objective or Stub(), stop, ended.append)
    return ended


def states(study):
    return [trial.state.name for trial in study.trials()]


def test_the_first_trial_has_the_options_of_the_preset(study):
    stub = Stub()
    work(study(trials=2), stub)
    assert stub.options[0] == resolve(Train, FIXED)
    assert stub.options[1] != stub.options[0]


def test_a_study_continues_and_counts_the_trials_of_earlier_commands(study):
    assert len(work(study(trials=2))) == 2
    assert len(work(study(trials=2))) == 0
    again = study(trials=3)
    assert [trial.number for trial in work(again)] == [2]
    assert states(again) == ["COMPLETE"] * 3


@pytest.mark.slow
def test_the_best_trial_is_found_and_equal_commands_give_equal_studies(study, tmp_path):
    numbers = []
    for name in ("one", "other"):
        made = study(trials=12, folder=tmp_path / name)
        work(made)
        numbers.append([trial.user_attrs["chosen"] for trial in made.trials()])
        assert made.best().value == min(t.value for t in made.trials() if t.state.name == "COMPLETE")
        assert made.best().value < made.trials()[0].value
    assert numbers[0] == numbers[1]


def test_a_trial_below_the_median_is_pruned(study):
    def objective(work):
        worse = work.trial.number >= 5
        for epoch in (1, 2, 3):
            work.trial.report(10 - epoch + 3 * worse, epoch)
            if work.trial.should_prune():
                raise optuna.TrialPruned
        return 7 + 3 * worse

    for prune, expected in ((True, "PRUNED"), (False, "COMPLETE")):
        made = study(trials=6, prune=prune, overwrite=True)
        ended = work(made, objective)
        assert states(made) == ["COMPLETE"] * 5 + [expected]
    assert len(ended[-1].intermediate_values) == 3
    made = study(trials=6, overwrite=True)
    assert list(work(made, objective)[-1].intermediate_values) == [1, 2]  # never in the first epoch


@pytest.mark.parametrize(
    "error",
    [UserError("training diverged in epoch 1"), Failed("the memory is full"), DataError("no windows")],
)
def test_a_trial_that_fails_counts_and_the_study_continues(study, error):
    def objective(work):
        if work.trial.number == 1:
            raise error
        return 1.0

    made = study(trials=3)
    ended = work(made, objective)
    assert states(made) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert f"trial 1: failed: {error}" in line(ended[1], made)
    assert summary(made)["trials"][1]["reason"] == str(error)


def test_an_unexpected_error_ends_the_command_and_the_study_is_usable(study):
    with pytest.raises(ZeroDivisionError):
        work(study(trials=2), lambda _: 1 / 0)
    made = study(trials=2)
    assert states(made) == ["FAIL"]
    work(made)
    assert states(made) == ["FAIL", "COMPLETE"]
    assert not any((made.folder / "trials").iterdir())


@pytest.mark.parametrize("error", [Stopped, KeyboardInterrupt])
def test_a_stopped_trial_continues_with_its_options_and_its_checkpoint(study, error):
    def stopped(work):
        (work.folder / "last.npz").write_text("checkpoint")
        stop.append(True)
        raise error

    stop, stub = [], Stub()
    made = study(trials=2)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            work(made, stopped)
    else:
        (ended,) = work(made, stopped, lambda: bool(stop))
        assert "the next command continues this trial" in line(ended, made)
    assert made.count() == 0

    def resumed(work):
        folders.append(sorted(path.name for path in work.folder.iterdir()))
        return stub(work)

    folders, again = [], study(trials=2)
    work(again, resumed)
    assert folders == [[".lock", "last.npz"], [".lock"]]
    assert stub.options[0] == resolve(Train, FIXED)
    assert (states(again), again.count()) == (["COMPLETE", "COMPLETE"], 2)
    assert not any((again.folder / "trials").iterdir())


def test_a_trial_of_a_dead_process_is_repeated(study):
    made = study(trials=2)
    begun, lock = made._begin(never)
    other = study(trials=2)
    assert [trial.number for trial in work(other)] == [1]  # the running trial counts
    lock.release()  # as the operating system does when a process dies
    again, stub = study(trials=2), Stub()
    work(again, stub)
    assert stub.options == [begun.options]
    assert states(again) == ["COMPLETE", "COMPLETE"]


def test_several_processes_share_the_trials(study):
    others = []

    def objective(begun):
        if not others:
            other = study(trials=4)
            others.extend(work(other, lambda _: 2.0))  # this process takes all other trials
        return 1.0

    made = study(trials=4)
    assert [trial.number for trial in work(made, objective)] == [0]
    assert [trial.number for trial in others] == [1, 2, 3]
    chosen = [json.dumps(trial.user_attrs["chosen"]) for trial in made.trials()]
    assert len(set(chosen)) == 4


def test_a_new_study_does_not_delete_the_study_of_a_running_process(study):
    made = study(trials=2)

    def objective(_):
        with pytest.raises(UserError, match="contains a study of another process that is running; stop it"):
            study(trials=2, overwrite=True)
        return 1.0

    work(made, objective)
    assert states(made) == ["COMPLETE"] * 2
    assert states(study(overwrite=True)) == []


def test_minutes_limit_the_whole_study(study, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("apps.study.time.monotonic", lambda: now[0])

    def objective(begun):
        now[0] += 600
        if begun.stop():
            raise Stopped
        return 1.0

    made = study(trials=1, minutes=5)
    assert [trial.user_attrs.get("stopped") for trial in work(made, objective)] == [True]
    assert states(made) == []  # the trial is planned again
    assert work(study(trials=1, minutes=5), objective) == []
    again = study(trials=1, minutes=30)
    assert [trial.number for trial in work(again, objective)] == [1]
    assert states(again) == ["COMPLETE"]


def test_the_time_of_several_processes_counts_once(study):
    made = study(minutes=10)
    begin = datetime(2026, 1, 1)
    for start, seconds in ((0, 60), (30, 60), (300, 30), (310, 5), (400, None)):  # None: the process has died
        attributes = {} if seconds is None else {"seconds": float(seconds)}
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs=attributes)
        trial.datetime_start = begin + timedelta(seconds=start)
        made.study.add_trial(trial)
    assert made.seconds_left() == pytest.approx(600 - 90 - 30)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"fixed": {**FIXED, "epochs": 4}}, UserError, r"with different options \(--epochs was 3, is 4\)"),
        ({"fixed": {**FIXED, "minutes": 1.0}}, UserError, r"\(--trial-minutes was None, is 1.0\)"),
        ({"fixed": {"epochs": 3}}, UserError, r"\(--cell was gru, is lstm\)"),
        ({"fixed": {**FIXED, "units": 64}}, UserError, r"\(--units was auto, is 64\)"),
        ({"fixed": {**FIXED, "layers": 1}}, UserError, "another search range of --layers"),
        ({"sha256": "other"}, DataError, "embedded has changed since the study in .* began"),
        ({"task": "translation"}, UserError, "contains a study of sentiment; choose another folder"),
    ],
)
def test_a_study_continues_only_with_equal_options_and_data(study, change, error, message):
    work(study(trials=1))
    with pytest.raises(error, match=message) as caught:
        study(**change)
    assert "--overwrite" in str(caught.value)
    assert states(study(**change, overwrite=True)) == []


def test_the_run_of_another_app_cannot_contain_the_study(study, tmp_path):
    Run(tmp_path / "run").write_json("data.json", {"task": "translation"})
    with pytest.raises(UserError, match="is a run of translation; choose another folder for the study"):
        study()
    assert not (tmp_path / "run" / "study.db").exists()


def test_a_damaged_study_is_a_one_line_error(study):
    made = study()
    (made.run.path / "study.db").write_bytes(b"junk" * 1000)
    with pytest.raises(DataError, match=r"study.db cannot be used \(file is not a database\); .*--overwrite"):
        study()
    assert states(study(overwrite=True)) == []


def test_a_new_study_ignores_checkpoints_of_a_deleted_study(study):
    made = study(trials=1)
    begun, lock = made._begin(never)
    (begun.folder / "last.npz").write_text("old")
    lock.release()
    (made.run.path / "study.db").unlink()
    work(study(trials=1), lambda begun: 1.0 if not (begun.folder / "last.npz").exists() else 1 / 0)


@pytest.mark.parametrize("name", ["a?b#c", "with space", "100%"])
def test_the_run_directory_may_have_any_name(study, tmp_path, name):
    made = study(trials=1, folder=tmp_path / name)
    work(made)
    assert (tmp_path / name / "study.db").exists()


def finished(study, trials=8):
    made = study(trials=trials)
    work(made)
    return made


@pytest.mark.slow
def test_the_report_has_a_table_the_importance_and_plots(study):
    made = study(trials=12, prune=False)
    work(made)
    result = summary(made)
    assert set(result["importance"]) == {each.name for each in made.space()}
    path = write_report(made, result)
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"!\[.*\]\((.*)\)", text):
        assert Image.open(path.parent / name).size[0] > 300
    assert len(re.findall(r"!\[", text)) == 3
    rows = [text.split("|")[1].strip() for text in text.split("## Trials")[1].splitlines() if "|" in text]
    assert sorted(map(int, rows[2:14])) == list(range(12))
    best = f"{result['best']['score']:.4g}"
    assert text.count(best) >= 2
    assert f"train --options {made.folder / 'best.json'}" in text
    assert "The test split is not scored" in text
    assert table(result).row_count == 12


def test_the_report_of_a_study_without_finished_trials_has_no_best_options(study):
    def objective(_):
        raise Failed("a | b")

    made = study(trials=2)
    work(made, objective)
    result = summary(made)
    assert (result["best"], result["importance"], made.write_best()) == (None, {}, None)
    assert "failed: a \\| b" in report(result)
    assert table(result).row_count == 2


def scored(value, **chosen):
    return optuna.trial.create_trial(value=value, user_attrs={"chosen": chosen})


def test_the_option_that_decides_the_score_is_the_most_important():
    rates, cells = (1e-4 * 2**n for n in range(40)), itertools.cycle(["gru", "lstm", "gru"])
    trials = [
        scored(abs(math.log(rate / OPTIMUM)), learning_rate=rate, cell=cell, units=n % 7)
        for n, (rate, cell) in enumerate(zip(rates, cells))
    ]
    shares = importance(trials)
    assert next(iter(shares)) == "learning_rate"
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)


def test_the_importance_leaves_out_constant_and_conditional_options():
    trials = [scored(n, learning_rate=n / 10, cell="gru", units=n % 3) for n in range(1, 8)]
    assert importance(trials) == {}  # too few trials
    trials.append(scored(40.0, learning_rate=40.0, cell="gru", units=8, extra=1))
    assert set(importance(trials)) == {"learning_rate", "units"}


def test_the_manifest_lists_the_study(study, read_json):
    made = finished(study, 2)
    made.write_best()
    made.run.own("sentiment")
    manifest = read_json(made.run.path / "run.json")
    assert set(manifest["files"]) == {"study.db", "tuning/best.json"}
    assert manifest["task"] == "sentiment"


def test_overwriting_the_training_keeps_the_study(study):
    made = finished(study, 1)
    made.run.write_json("options.json", {})
    path = made.write_best()
    made.run.clear()
    assert path.exists()
    assert (made.run.path / "study.db").exists()
    assert not made.run.started


# --- the file of options ---


def test_train_accepts_the_best_options(study):
    made = finished(study)
    path = made.write_best()
    best = made.best()
    expected = resolve(Train, {**FIXED, **best.user_attrs["chosen"]})
    assert resolve(Train, {"options": str(path)}).stored() == expected.stored()
    assert set(json.loads(path.read_text())) == {*FIXED, *best.user_attrs["chosen"]}


@pytest.fixture
def options_file(tmp_path):
    def write(content):
        path = tmp_path / "options.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    return write


def test_options_override_the_file_and_the_file_overrides_the_preset(options_file):
    path = options_file({"preset": "quick", "units": 48, "dropout": 0.1})
    chosen = resolve(Train, {"options": path, "dropout": 0.2})
    assert (chosen.units, chosen.dropout) == (48, 0.2)
    assert chosen.epochs == Train.presets["quick"]["epochs"]
    assert resolve(Train, {"options": path, "preset": "best"}).units == 48
    assert "options" not in chosen.stored()


@pytest.mark.parametrize("task", TASKS)
def test_every_app_accepts_a_file_with_all_its_stored_options(task, options_file):
    train = option_class(task)
    stored = resolve(train, {"preset": "best"}).stored()
    chosen = resolve(train, {"options": options_file(stored)})
    assert changes(train, stored, chosen.stored()) == ""


def test_other_data_does_not_take_the_columns_of_the_file(options_file, tmp_path):
    path = options_file({"data": "reviews.csv", "text": "review", "units": 8})
    assert resolve(Train, {"options": path}).text == "review"
    other = resolve(Train, {"options": path, "data": "other.csv"})
    assert (other.text, other.data, other.units) == (None, "other.csv", 8)
    assert resolve(Train, {"options": path, "data": "reviews.csv"}).text == "review"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
        ("[1]", "contains a JSON list; expected a JSON object of option values"),
        ({"unit_s": 3}, "contains 'unit_s', which is not an option of train; did you mean units"),
        ({"overwrite": True}, "contains 'overwrite', which is not an option of train"),
        ({"units": "many"}, "contains an invalid value: units must be int; got 'many'"),
        ({"units": 0}, "contains an invalid value: units must be at least 1; got 0"),
        ({"cell": "transformer"}, "contains an invalid value: cell must be one of rnn, "),
    ],
)
def test_a_wrong_file_is_one_error_line(invoke, one_line, monkeypatch, options_file, content, message):
    monkeypatch.setattr(apps.cli, "import_tensorflow", lambda: pytest.fail("TensorFlow is imported"))
    path = options_file(content)
    assert f"{path} {message}" in one_line(invoke("train", "--options", path), 1)


def test_a_missing_file_of_options_is_a_usage_error(invoke, one_line, tmp_path):
    for path, reason in ((tmp_path / "no.json", "No such file"), (tmp_path, "Is a directory")):
        message = one_line(invoke("train", "--options", path), 2)
        assert f"--options {path} cannot be read ({reason}" in message


# --- the command ---


@pytest.fixture
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(apps.cli, "import_tensorflow", lambda: pytest.fail("TensorFlow is imported"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "'--trials': '0' is out of range"),
        (["--data", "no.csv"], "--data no.csv does not exist"),
        (["--options", "best.json"], "No such option '--options'"),
        (["--dry-run"], "No such option '--dry-run'"),
        (["--pooling", "median"], "--pooling 'median' is unknown"),
    ],
)
def test_usage_errors_of_tune_appear_before_tensorflow_is_imported(
    invoke, one_line, without_tensorflow, arguments, message
):
    assert message in one_line(invoke("tune", *arguments), 2)


def test_a_study_without_options_to_search_is_a_usage_error(invoke, one_line, without_tensorflow):
    flags = [
        f"--{each.name.replace('_', '-')}={getattr(Train, each.name)}" for each in search_space(Train, {})
    ]
    assert "all of them are set; remove some" in one_line(invoke("tune", *flags), 2)


def test_a_missing_optuna_is_one_line(invoke, one_line, without_tensorflow, monkeypatch):
    monkeypatch.setattr(tune_options, "find_spec", lambda name: None)
    message = one_line(invoke("tune"), 1)
    assert message == "error: tune needs the package optuna; run python -m pip install 'seqmodels[tune]'\n"


def test_the_flags_of_tune_are_its_own_options_and_the_options_of_train(invoke):
    names = {one.name for one, _, _ in tune_declared(Train)}
    own, train = ({each.name for each in fields(kind)} for kind in (TuneOptions, Train))
    assert names == own | train - {"options", "dry_run"}
    shown = " ".join(invoke("tune", "--help").output.split())
    assert "If this option is not set, the study searches 16, 32, 64, 128." in shown
    assert "0.0002 to 0.02 (logarithmic) with other values of --optimizer" in shown


SMALL = ["--no-xla", "--no-bidirectional", "--buckets=1", "--minimum-count=1", "--epochs=2", "--layers=1"]
SMALL += ["--units=4", "--embedding-units=4", "--batch-size=8", "--cell=gru"]


@pytest.mark.slow
def test_the_commands_of_the_page_run(reviews, tmp_path, monkeypatch, read_json):
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    lines = re.search(r"```sh\n(.*?)```", page, re.DOTALL).group(1).splitlines()
    commands = [shlex.split(line.removeprefix("python -m apps.sentiment ")) for line in lines]
    shutil.copy(reviews / "train.csv", tmp_path / "reviews.csv")
    monkeypatch.chdir(tmp_path)
    tune, train, evaluate = commands
    tune += ["--trials", "2", *SMALL]
    for command in (tune, train, evaluate):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.stderr
        if command is tune:
            assert len(re.findall(r"^trial [01]: valid_loss ", result.stderr, re.MULTILINE)) == 2
            assert "study of sentiment" in result.stdout
    folder = Path("saved_models/search/tuning")
    assert {path.name for path in folder.iterdir()} >= {"best.json", "report.md", "curves.png", "trials.png"}
    result = CliRunner().invoke(main, [*tune, "--json"])
    assert result.exit_code == 0, result.stderr
    assert "note: the study has 2 trials already; raise --trials to continue it" in result.stderr
    best = json.loads(result.stdout)["best"]
    assert best["options"] == read_json(folder / "best.json")
    valid = read_json("saved_models/tuned/metrics.json")["valid"]["loss"]
    assert valid == pytest.approx(best["score"], rel=1e-4)
    given = {name: value for name, value in best["options"].items() if name in ("epochs", "layers", "cell")}
    found = apps.tune("sentiment", "reviews.csv", "python", trials=1, xla=False, buckets=1, units=4, **given)
    assert [one["state"] for one in found["trials"]] == ["finished"]


@pytest.mark.slow
def test_the_test_split_does_not_change_the_study(reviews, tmp_path):
    scores = []
    for name in ("same", "other"):
        data = tmp_path / name
        shutil.copytree(reviews, data)
        if name == "other":
            rows = (data / "test.csv").read_text().splitlines()
            flipped = [
                row.replace(",bad", ",x").replace(",good", ",bad").replace(",x", ",good") for row in rows
            ]
            (data / "test.csv").write_text("\n".join(flipped[:1] + flipped[4:]) + "\n")
        arguments = ["--data", str(data), "--run", str(tmp_path / f"run-{name}"), "--trials", "2", "--json"]
        result = CliRunner().invoke(main, ["tune", *arguments, *SMALL])
        assert result.exit_code == 0, result.stderr
        scores.append([(one["score"], one["curve"]) for one in json.loads(result.stdout)["trials"]])
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_diverged_training_is_a_failed_trial(reviews, tmp_path):
    arguments = ["--data", str(reviews), "--run", str(tmp_path / "run"), "--trials", "1", *SMALL]
    result = CliRunner().invoke(
        main, ["tune", *arguments, "--optimizer=sgd", "--learning-rate=1e30", "--clipnorm=none"]
    )
    assert result.exit_code == 1
    assert "trial 0: failed: training diverged" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: no trial of the study in")
