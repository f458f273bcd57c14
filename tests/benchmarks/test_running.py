"""The command measures one experiment after the other, continues, and stores complete records only."""

import json
from pathlib import Path

import pytest

from benchmarks.scores import __main__ as scores
from benchmarks.scores import digest, documents, machine, records, running
from benchmarks.scores.catalog import EXPERIMENTS
from benchmarks.scores.running import Folders, measure
from benchmarks.scores.sources import VARIABLE
from seqmodels.errors import UserError

QUICK = EXPERIMENTS["sentiment-quick"]
CUT = EXPERIMENTS["waimai-100"]
METRICS = {"parameters": 12, "epochs": 3, "best_epoch": 2, "seconds": 30.0, "valid": {"loss": 0.5}}
DATA = {"source": "embedded", "sha256": "ab", "counts": {"train": 8, "valid": 1, "test": 1}}
SCORES = {"accuracy": 0.9, "macro_f1": 0.8, "log_loss": 0.2}
EVALUATION = {
    "data": "embedded",
    "model": {**SCORES, "accuracy_interval": [0.8, 0.95], "confusion": [[1]]},
    "baselines": {"majority": {"accuracy": 0.5, "log_loss": 0.7, "confusion": [[1]]}},
}


class Apps:
    """Replaces the processes of the apps. ``failing`` is the name of a verb that raises an exception."""

    def __init__(self, failing=None, error=None):
        self.calls, self.failing, self.error = [], failing, error

    def __call__(self, caller, verb, arguments, stdout=None):
        self.calls.append((verb, arguments, caller.work))
        if verb == self.failing:
            raise self.error
        run = Path(arguments[arguments.index("--run") + 1])
        if verb == "train":
            run.mkdir(parents=True, exist_ok=True)
            (run / "metrics.json").write_text(json.dumps(METRICS))
            (run / "data.json").write_text(json.dumps(DATA))
            (run / "model.keras").write_text("")
        answers = {"convert": {"files": {"model_dynamic.tflite": FILE}}, "evaluate": EVALUATION}
        return json.dumps(answers.get(verb))

    @property
    def verbs(self):
        return [verb for verb, _, _ in self.calls]


FILE = {"bytes": 1000, "milliseconds": {"classify": 0.5}}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    data = tmp_path / "data"
    (data / "waimai").mkdir(parents=True)
    for split in ("train", "test"):
        rows = "".join(f"{split} {n},{'ab'[n % 2]}\n" for n in range(150))
        (data / "waimai" / f"{split}.csv").write_text("text,label\n" + rows, encoding="utf-8")
    monkeypatch.delenv(VARIABLE, raising=False)
    # The digest is computed by other tests; here it takes too long.
    monkeypatch.setattr(digest, "read_again", lambda: None)
    return Folders(data, tmp_path / "runs", tmp_path / "records")


@pytest.fixture
def apps(monkeypatch):
    def replaced(**settings):
        found = Apps(**settings)
        monkeypatch.setattr(running._Caller, "__call__", lambda *arguments: found(*arguments))
        return found

    return replaced


def test_a_record_has_scores_and_conditions(folders, apps):
    calls = apps().calls
    record = measure(QUICK, 1, folders)
    assert records.read(folders.records / "sentiment-quick" / "seed_1.json") == record
    assert record.scores == SCORES
    assert record.intervals == {"accuracy": [0.8, 0.95]}
    assert record.baselines == {"majority": {"accuracy": 0.5, "log_loss": 0.7}}
    assert record.is_current(QUICK)
    assert record.minutes == 0.5
    assert 0 <= record.other_load <= 1
    assert record.machine == machine.machine()
    assert record.command == "python -m apps.sentiment train --data embedded --preset quick --seed 1"
    (train, evaluate) = calls
    assert train[1][:6] == ["--data", "embedded", "--preset", "quick", "--seed", "1"]
    assert train[1][-1] == "--overwrite"
    assert evaluate[:1] == ("evaluate",)
    assert not (folders.runs / "sentiment-quick" / "seed_1").exists()


def test_cut_data_is_written_and_noted(folders, apps):
    calls = apps().calls
    record = measure(CUT, 2, folders, keep=True)
    assert record.data["notes"] == ["100 of the training texts, 2 classes"]
    assert calls[0][1][:2] == ["--data", "waimai-100-2"]
    assert (calls[0][2] / "waimai-100-2" / "train.csv").read_text().count("\n") == 101
    measure(CUT, 3, folders)
    assert not (folders.runs / "data" / "waimai-100-3").exists()


def test_tflite_files_are_measured(folders, apps):
    apps()
    record = measure(EXPERIMENTS["sst2"], 0, folders)
    assert record.files == {"dynamic": {"bytes": 1000, "milliseconds_classify": 0.5, **SCORES}}


def test_an_interrupted_training_continues(folders, apps):
    apps(failing="train", error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        measure(QUICK, 0, folders)
    assert not folders.records.exists()
    second = apps()
    measure(QUICK, 0, folders)
    assert "--overwrite" not in second.calls[0][1]


def test_a_finished_training_is_not_repeated(folders, apps):
    apps(failing="evaluate", error=UserError("evaluate failed"))
    with pytest.raises(UserError, match="evaluate failed"):
        measure(QUICK, 0, folders)
    second = apps()
    measure(QUICK, 0, folders, keep=True)
    assert second.verbs == ["evaluate"]
    assert (folders.runs / "sentiment-quick" / "seed_0" / "model.keras").exists()


def test_a_training_of_other_code_starts_again(folders, apps, monkeypatch):
    apps(failing="evaluate", error=UserError("evaluate failed"))
    with pytest.raises(UserError, match="evaluate failed"):
        measure(QUICK, 0, folders)
    second = apps()
    monkeypatch.setattr(digest, "digest", lambda task, files: "other")
    measure(QUICK, 0, folders)
    assert second.calls[0][1][-1] == "--overwrite"


def test_a_change_of_the_code_during_the_training_is_an_error(folders, apps, monkeypatch):
    apps()
    values = iter(["one", "two"])
    monkeypatch.setattr(digest, "digest", lambda task, files: next(values))
    with pytest.raises(UserError, match="the code of sentiment changed during the training"):
        measure(QUICK, 0, folders)
    assert not folders.records.exists()


def test_a_missing_score_is_an_error(folders, apps, monkeypatch):
    apps()
    monkeypatch.setitem(EVALUATION["model"], "log_loss", None)
    with pytest.raises(UserError, match="evaluate of sentiment-quick returned no finite number for log_loss"):
        measure(QUICK, 0, folders)
    assert not folders.records.exists()


def test_a_failed_process_is_one_line(folders, monkeypatch):
    monkeypatch.setattr(running.sys, "executable", "/bin/false")
    with pytest.raises(
        UserError, match=r"^train of sentiment-quick failed with exit status 1 \(.*seed_0.log"
    ):
        measure(QUICK, 0, folders)


class Command:
    """Runs the command line with other folders."""

    def __init__(self, folders, monkeypatch, capsys):
        self.folders, self.capsys = folders, capsys
        self.measured: list[str] = []
        monkeypatch.setattr(records, "RECORDS", folders.records)
        monkeypatch.setattr(documents, "write", lambda found: [])
        monkeypatch.setattr(scores, "measure", self.measure)

    def measure(self, experiment, seed, folders, keep):
        self.measured.append(f"{experiment.name} {seed}")
        if experiment.name == "translation-quick":
            raise UserError("train of translation-quick failed")
        record = records.Record(
            experiment=experiment.name,
            seed=seed,
            command=experiment.command(seed),
            evaluate=list(experiment.evaluate),
            code=digest.digest(experiment.task, bool(experiment.files)),
            date="2026-01-31",
            scores=dict.fromkeys(experiment.scores, 0.5),
        )
        records.write(folders.records, record)
        return record

    def __call__(self, *arguments):
        """Returns the exit status and the lines of stdout and stderr."""
        self.measured.clear()
        status = 0
        try:
            scores.command([*arguments, "--runs", str(self.folders.runs)])
        except SystemExit as exit:
            status = exit.code
        out, err = self.capsys.readouterr()
        return status, out.splitlines(), err.splitlines()


@pytest.fixture
def command(folders, monkeypatch, capsys):
    return Command(folders, monkeypatch, capsys)


def test_current_records_are_skipped(command):
    assert command("--only", "sentiment-quick", "--seeds", "2")[0] == 0
    assert command.measured == ["sentiment-quick 0", "sentiment-quick 1"]
    status, out, _ = command("--only", "sentiment-quick", "--seeds", "3")
    assert (status, command.measured) == (0, ["sentiment-quick 2"])
    assert out[0].startswith("sentiment-quick, seed 2: accuracy 50.00, not tested")
    command("--only", "sentiment-quick", "--seeds", "2", "--again")
    assert command.measured == ["sentiment-quick 0", "sentiment-quick 1"]


def test_missing_data_is_skipped_with_a_note_unless_it_is_named(command, folders):
    status, _, err = command("--seeds", "1")
    assert "note: sst2 is skipped, because its data is missing (sst2/train.csv)" in err
    assert "sentiment-quick 0" in command.measured
    assert status == 1  # the training of translation-quick fails in this test
    status, _, err = command("--only", "sst2")
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith("error: sst2 needs sst2/train.csv: no data folder is set by --data-dir")
    status, _, err = command("--only", "waimai-100", "--seeds", "1", "--data-dir", str(folders.data))
    assert (status, command.measured) == (0, ["waimai-100 0"])


def test_the_environment_variable_names_the_data_folder(command, folders, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(folders.data))
    assert command("--only", "waimai-1*", "--seeds", "1")[0] == 0
    assert command.measured == ["waimai-100 0", "waimai-1000 0", "waimai-10000 0"]


def test_a_failure_does_not_stop_the_other_trainings(command):
    status, out, err = command(
        "--only", "translation-quick", "--only", "forecasting-seasonal", "--seeds", "1"
    )
    assert command.measured == ["translation-quick 0", "forecasting-seasonal 0"]
    assert (status, len(out)) == (1, 1)
    assert "error: train of translation-quick failed" in err
    assert err[-1] == "error: 1 of the trainings failed: translation-quick, seed 0"


def test_the_list_shows_records_and_missing_data(command):
    command("--only", "sentiment-quick", "--seeds", "1")
    status, out, _ = command("--list")
    assert (status, len(out)) == (0, len(EXPERIMENTS))
    assert out[0] == "sentiment-quick: 5 x 1 minutes; 1 of 1 records current; accuracy 50.00"
    assert next(line for line in out if line.startswith("ptb:")).count("data missing: ptb/train.txt") == 1


def test_only_the_tables_are_written(command):
    assert command("--tables")[0] == 0
    assert command.measured == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "--only nothing is not an experiment; --list shows all experiments"),
        (["--seeds", "0"], "--seeds"),
        (["--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_usage_errors_are_one_line(command, arguments, message):
    status, _, err = command(*arguments)
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith("error: ")
    assert message in err[0]
