"""The run directory: complete files, one training at a time, and no deletion of other files."""

import csv
import os

import pytest

from apps.run import Run, write_text
from seqmodels.errors import DataError, UsageError, UserError


def finish(run):
    run.write_json("options.json", {"seed": 1})
    run.write_json("data.json", {"sha256": "abc"})
    run.write_json("metrics.json", {})
    run.model.write_bytes(b"12345")


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_is_started_has_data_and_is_finished(tmp_path):
    run = Run(tmp_path / "run")
    assert [run.started, run.has_data, run.finished] == [False, False, False]
    run.write_json("options.json", {})
    assert [run.started, run.has_data, run.finished] == [True, False, False]
    run.write_json("data.json", {})
    run.write_json("metrics.json", {})
    assert [run.started, run.has_data, run.finished] == [True, True, False]
    run.model.write_bytes(b"")
    assert run.finished
    run.require_finished()


def test_errors_of_unfinished_runs_name_the_fix(tmp_path):
    run = Run(tmp_path / "run")
    with pytest.raises(
        UsageError, match=r"no run found at .*; create one with `train`, or choose another folder with --run"
    ):
        run.require_finished()
    run.write_json("options.json", {})
    with pytest.raises(
        UsageError, match="is an unfinished run; repeat its `train` command to resume the training"
    ):
        run.require_finished()


def test_json_round_trip_and_damaged_json(tmp_path):
    run = Run(tmp_path)
    run.write_json("a.json", {"ключ": [1, None, 0.1]})
    assert run.read_json("a.json") == {"ключ": [1, None, 0.1]}
    assert "ключ" in (tmp_path / "a.json").read_text(encoding="utf-8")
    for content in (None, "", "{", "\udcff"):
        if content is None:
            (tmp_path / "a.json").unlink()
        else:
            (tmp_path / "a.json").write_text(content, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(DataError, match=r"a\.json cannot be read .* --overwrite"):
            run.read_json("a.json")


def test_a_write_that_fails_leaves_the_old_text(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("renamed before it was written"))
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \udcff")
    monkeypatch.undo()
    assert path.read_text() == "old"
    write_text(path, "new ü")
    assert path.read_text(encoding="utf-8") == "new ü"
    assert files(tmp_path) == ["new/a.txt"]


def test_history_is_a_table_with_one_row_per_epoch(tmp_path):
    run = Run(tmp_path)
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-7}]
    run.write_history(rows)
    with open(run.history, newline="") as file:
        assert [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)] == rows


def test_changed_data_is_refused(tmp_path):
    run = Run(tmp_path)
    finish(run)
    run.require_data("x.csv", "abc")
    with pytest.raises(DataError, match=r"x\.csv has changed since the training of .* began; .*--overwrite"):
        run.require_data("x.csv", "abd")


def test_two_trainings_of_one_run_are_refused_until_the_first_ends(tmp_path):
    with Run(tmp_path / "new" / "run").locked():
        with (
            pytest.raises(UserError, match="is being trained by another process"),
            Run(tmp_path / "new/run").locked(),
        ):
            pytest.fail("locked twice")
        with Run(tmp_path / "new" / "other").locked():
            pass
    with pytest.raises(ZeroDivisionError), Run(tmp_path / "new" / "run").locked():
        raise ZeroDivisionError
    with Run(tmp_path / "new" / "run").locked():
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file cannot be written \(File exists\); choose another .* --run"):
        Run(tmp_path / "file").locked().__enter__()

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(UserError, match=r"run cannot be written \(Permission denied\)"):
        Run(tmp_path / "run").locked().__enter__()


def test_clearing_removes_everything_except_the_lock(tmp_path):
    run = Run(tmp_path / "run")
    with run.locked():
        finish(run)
        write_text(run.assets / "vocab.txt", "")
        write_text(run.path / "history.csv.partial", "")
        write_text(run.checkpoints / "last.npz.partial", "")
        run.clear()
        assert files(run.path) == [".lock"]
        assert not run.started


@pytest.mark.parametrize("stranger", ["thesis.txt", ".git/config", "assets.zip"])
def test_clearing_refuses_a_folder_with_other_files(tmp_path, stranger):
    run = Run(tmp_path)
    finish(run)
    write_text(tmp_path / stranger, "mine")
    before = files(tmp_path)
    with pytest.raises(UserError, match=f"{stranger.split('/')[0]}.*, which does not belong to a run"):
        run.clear()
    assert files(tmp_path) == before


def test_sizes_are_bytes_of_files_and_folders(tmp_path):
    run = Run(tmp_path)
    with run.locked():
        write_text(run.assets / "deep" / "a.txt", "123")
        write_text(run.assets / "b.txt", "ü")
        run.model.write_bytes(b"12345")
    assert run.sizes() == {"assets": 5, "model.keras": 5}


def test_a_run_of_another_app_is_refused(tmp_path):
    run = Run(tmp_path / "run")
    finish(run)
    run.require_finished("sentiment")  # runs of early versions do not store the task
    run.write_json("data.json", {"task": "translation"})
    run.require_finished("translation")
    with pytest.raises(UsageError, match=r"is a run of translation; use `python -m apps\.translation`"):
        run.require_finished("sentiment")


def test_missing_or_changed_training_data_is_an_error(tmp_path):
    class Loaded:
        sha256 = "abc"

    def gone():
        raise UsageError("no such file")

    run = Run(tmp_path / "run")
    finish(run)
    assert run.trained_on("x.csv", Loaded).sha256 == "abc"
    with pytest.raises(
        DataError, match=r"needs its training data x\.csv, which was not found \(no such file\)"
    ):
        run.trained_on("x.csv", gone)
    run.write_json("data.json", {"sha256": "other"})
    with pytest.raises(DataError, match="has changed since the training"):
        run.trained_on("x.csv", Loaded)
