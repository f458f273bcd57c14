"""A SavedModel takes its place only after a process without the project has agreed with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from seqmodels.errors import UserError
from seqmodels.export import saved_model
from seqmodels.export.signature import Signature


class Scaler(tf.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = tf.Variable(factor)
        self.drift = 0.0

    def scale(self, x: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * self.factor + self.drift, "upper": tf.strings.upper(name)}

    def signature(self, *targets: str) -> Signature:
        inputs = {"x": tf.TensorSpec([None, 2]), "name": tf.TensorSpec([None], tf.string)}
        return Signature(
            "scale", self.scale, inputs, ("y", "upper"), [self.factor], targets or ("saved_model",)
        )


def example(rows: int) -> tuple[str, dict[str, np.ndarray]]:
    return "scale", {"x": np.ones((rows, 2), np.float32), "name": np.array([b"a\xff"] * rows, "S")}


def test_written_verified_and_replaced_only_by_a_better_one(tmp_path: Path) -> None:
    folder = tmp_path / "export" / "model"
    good, wrong = Scaler(3.0), Scaler(4.0)
    not_for_servers = Signature("other", lambda: {"y": tf.constant(1)}, {}, ("y",), (), ("tflite",))
    signatures = [good.signature(), not_for_servers]
    assert saved_model.export(folder, signatures, [example(3), example(1), example(0)]) == 0.0
    loaded = tf.saved_model.load(str(folder))
    assert set(loaded.signatures) == {"scale", "serving_default"}
    assert loaded.signatures["serving_default"](**example(2)[1])["y"].numpy().tolist() == [[3.0, 3.0]] * 2

    class Traced(Scaler):
        """Says one thing while it is traced and another thing afterwards."""

        def scale(self, x: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
            return super().scale(x if tf.executing_eagerly() else 2 * x, name)

    wrong = Traced(3.0)
    with pytest.raises(UserError, match="y differs by 3 from the model's"):
        saved_model.export(folder, [wrong.signature()], [example(2)])
    assert tf.saved_model.load(str(folder)).signatures["scale"](**example(1)[1])["y"].numpy().tolist() == [
        [3, 3]
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
