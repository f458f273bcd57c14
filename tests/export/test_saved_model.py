"""A SavedModel is written only if a process without the project computes the same outputs as the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from seqmodels import registry
from seqmodels.errors import UserError
from seqmodels.export import saved_model
from seqmodels.export.signature import Signature
from seqmodels.models import Classifier


class Scaler(tf.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = tf.Variable(factor)
        self.drift = 0.0

    def scale(self, x: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * self.factor + self.drift, "upper": tf.strings.upper(name)}

    def signature(self) -> Signature:
        inputs = {"x": tf.TensorSpec([None, 2]), "name": tf.TensorSpec([None], tf.string)}
        return Signature("scale", self.scale, inputs, ("y", "upper"), [self.factor])


def example(rows: int) -> tuple[str, dict[str, np.ndarray]]:
    return "scale", {"x": np.ones((rows, 2), np.float32), "name": np.array([b"a\xff"] * rows, "S")}


def test_a_saved_model_is_replaced_only_after_verification(tmp_path: Path) -> None:
    folder = tmp_path / "export" / "model"
    good, wrong = Scaler(3.0), Scaler(4.0)
    signatures = [good.signature()]
    assert saved_model.export(folder, signatures, [example(3), example(1), example(0)]) == 0.0
    loaded = tf.saved_model.load(str(folder))
    assert set(loaded.signatures) == {"scale", "serving_default"}
    assert loaded.signatures["serving_default"](**example(2)[1])["y"].numpy().tolist() == [[3.0, 3.0]] * 2

    class Traced(Scaler):
        """Computes different outputs in a graph and in eager execution."""

        def scale(self, x: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
            return super().scale(x if tf.executing_eagerly() else 2 * x, name)

    wrong = Traced(3.0)
    with pytest.raises(UserError, match="the output 0/scale/y differs from the model's output by 3"):
        saved_model.export(folder, [wrong.signature()], [example(2)])
    assert tf.saved_model.load(str(folder)).signatures["scale"](**example(1)[1])["y"].numpy().tolist() == [
        [3, 3]
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def of_classifier(name: str, model: Classifier) -> Signature:
    def classify(tokens: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model({"tokens": tokens, "lengths": lengths})}

    inputs = {"tokens": tf.TensorSpec([None, None], tf.int32), "lengths": tf.TensorSpec([None], tf.int32)}
    variables = [variable.value for variable in model.variables]
    return Signature(name, classify, inputs, ("logits",), variables)


@pytest.mark.slow
def test_every_cell_and_pooling(tmp_path: Path) -> None:
    """Runs one SavedModel, with one signature per cell and pooling, on several batch sizes and lengths."""
    signatures, examples = [], []
    tokens = np.random.default_rng(1).integers(1, 9, (4, 7), np.int32)
    kinds = [(cell, "last") for cell in registry.CELLS] + [("gru", pooling) for pooling in registry.POOLINGS]
    for number, (cell, pooling) in enumerate(dict.fromkeys(kinds)):
        model = Classifier(9, 2, 4, cell, 4, layers=2, pooling=pooling)
        model.build()
        signatures.append(of_classifier(f"classify_{number}", model))
        for rows, steps in ((4, 7), (1, 3), (0, 7)):
            batch = {"tokens": tokens[:rows, :steps], "lengths": np.arange(rows, dtype=np.int32)}
            examples.append((f"classify_{number}", batch))
    assert saved_model.export(tmp_path / "model", signatures, examples) < 1e-5


@pytest.mark.slow
def test_neighbouring_folders_are_unchanged_and_links_are_followed(tmp_path: Path) -> None:
    for name in ("model.old", "model.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to("model")
    saved_model.export(tmp_path / "link", [Scaler(3.0).signature()], [example(1)])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "model" / "saved_model.pb").exists()
    assert [(tmp_path / name / "mine.txt").read_text() for name in ("model.old", "model.partial")] == [
        "mine"
    ] * 2
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        saved_model.export(tmp_path / "file" / "model", [Scaler(3.0).signature()], [example(1)])
