"""Checkpoints are restored exactly, written atomically, and refused by other models."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqmodels.errors import DataError
from seqmodels.training import checkpoint

FACTS = {"epoch": 3, "sums": {"total": 0.1 + 0.2}, "best": None, "history": [{"loss": 1e-9}]}


def variables(*shapes, value=0.0, dtype="float32"):
    return [keras.Variable(np.full(shape, value), dtype=dtype) for shape in shapes]


def values(members):
    return [keras.ops.convert_to_numpy(member) for member in members]


@pytest.fixture
def path(tmp_path):
    """Returns the path of a checkpoint with one group of two variables filled with 1.5."""
    checkpoint.save(tmp_path / "new folder" / "last.npz", {"model": variables((2, 3), (), value=1.5)}, FACTS)
    return tmp_path / "new folder" / "last.npz"


def refused(path, groups):
    """Returns the error message of loading, and checks that the variables are unchanged."""
    before = [values(members) for members in groups.values()]
    with pytest.raises(DataError) as error:
        checkpoint.load(path, groups)
    for members, old in zip(groups.values(), before):
        assert all(np.array_equal(new, was) for new, was in zip(values(members), old))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_variables_and_facts_are_restored_exactly(tmp_path):
    random = np.random.default_rng(0)
    stored = [keras.Variable(random.normal(size=(12, 3)), dtype="float32"), keras.Variable(7, dtype="int64")]
    state = [tf.constant([[1.0, -2.5]]), tf.constant([[0.1]], tf.bfloat16)]
    checkpoint.save(tmp_path / "a.npz", {"model": stored, "carried": state}, FACTS)
    restored = [*variables((12, 3)), *variables((), dtype="int64")]
    assert checkpoint.load(tmp_path / "a.npz", {"model": restored}) == FACTS
    assert all(np.array_equal(one, other) for one, other in zip(values(stored), values(restored)))
    carried = checkpoint.arrays(tmp_path / "a.npz", "carried")
    assert all(np.array_equal(one, other) for one, other in zip(carried, values(state)))
    assert os.listdir(tmp_path) == ["a.npz"]


def test_more_than_ten_variables_keep_their_order(tmp_path):
    stored = [keras.Variable(float(number)) for number in range(12)]
    checkpoint.save(tmp_path / "a.npz", {"model": stored}, {})
    restored = variables(*[()] * 12)
    checkpoint.load(tmp_path / "a.npz", {"model": restored})
    assert [float(value) for value in values(restored)] == list(range(12))
    assert [float(value) for value in checkpoint.arrays(tmp_path / "a.npz", "model")] == list(range(12))


def test_failed_write_keeps_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"model": variables((2, 3), ())}, {})
    assert path.read_bytes() == before
    monkeypatch.undo()
    checkpoint.save(path, {"model": variables((2, 3), (), value=2.0)}, {"epoch": 4})
    assert checkpoint.load(path, {"model": variables((2, 3), ())}) == {"epoch": 4}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-30],
        lambda content: b"no archive at all",
        lambda content: content.replace(np.float32(1.5).tobytes(), np.float32(1.6).tobytes()),
        lambda content: content.replace(b"model/1", b"model/9"),
        lambda content: content.replace(b"facts", b"fakes"),
    ],
    ids=["empty", "half", "end missing", "other file", "flipped bytes", "tensor missing", "facts missing"],
)
def test_a_damaged_file_is_refused(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    assert "--overwrite" in refused(path, {"model": variables((2, 3), ())})


def test_facts_that_are_not_json_are_refused(path):
    np.savez(path, facts=np.frombuffer(json.dumps(FACTS).encode()[:-3], np.uint8))
    assert "cannot be read" in refused(path, {})


def test_a_missing_file_is_refused(tmp_path):
    assert "No such file" in refused(tmp_path / "best.npz", {"model": variables((2,))})


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 3), (4,)], "expected shape (4,), found ()"),
        ([(3, 2), ()], "expected shape (3, 2), found (2, 3)"),
        ([(2, 3)], "expected 1 model tensors, found 2"),
        ([(2, 3), (), ()], "expected 3 model tensors, found 2"),
    ],
)
def test_another_model_is_refused(path, shapes, expected):
    message = refused(path, {"model": variables(*shapes)})
    assert expected in message
    assert "another model" in message


def test_missing_group_is_refused(path):
    groups = {"model": variables((2, 3), ()), "optimizer": variables((2, 3))}
    assert "expected 1 optimizer tensors, found 0" in refused(path, groups)
