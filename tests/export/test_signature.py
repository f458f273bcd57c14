"""A signature says what it is, or is refused."""

from __future__ import annotations

import pytest
import tensorflow as tf

from seqmodels.export.signature import Signature

SPEC = tf.TensorSpec([None], tf.float32)


def double(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": 2 * x}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b", double, {"x": SPEC}, ("y",)), "'a b' cannot name"),
        (("serve", double, {"x": SPEC}, ("y",)), "'serve' is TensorFlow's own name"),
        (("double", double, {"z": SPEC}, ("y",)), r"has inputs \['z'\]; its function takes \['x'\]"),
        (("double", double, {"x": SPEC}, ()), "has no outputs"),
    ],
)
def test_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Signature(*arguments, resources=())


def test_outputs_must_be_those_that_are_named() -> None:
    with pytest.raises(ValueError, match=r"returned \['y'\]; expected \['other'\]"):
        Signature("double", double, {"x": SPEC}, ("other",), ()).traced()


def test_the_graph_has_the_names() -> None:
    traced = Signature("double", double, {"x": SPEC}, ("y",), ()).traced()
    assert list(traced.structured_input_signature[1]) == [] or "x" in traced.structured_input_signature[1]
    assert traced.structured_outputs["y"].shape == [None]
