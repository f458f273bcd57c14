"""Signatures: their names, and the errors of invalid signatures."""

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
        (("a b", double, {"x": SPEC}, ("y",)), "must be an identifier; got 'a b'"),
        (("serve", double, {"x": SPEC}, ("y",)), "'serve' is reserved by TensorFlow"),
        (("double", double, {"z": SPEC}, ("y",)), r"function arguments \['x'\]; got \['z'\]"),
        (("double", double, {"x": SPEC}, ()), "outputs of double must contain at least one name"),
    ],
)
def test_invalid_signatures(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Signature(*arguments, resources=())


def test_the_function_must_return_the_named_outputs() -> None:
    with pytest.raises(ValueError, match=r"must return \['other'\]; got \['y'\]"):
        Signature("double", double, {"x": SPEC}, ("other",), ()).traced()


def test_the_graph_has_the_names() -> None:
    traced = Signature("double", double, {"x": SPEC}, ("y",), ()).traced()
    assert list(traced.structured_input_signature[1]) == [] or "x" in traced.structured_input_signature[1]
    assert traced.structured_outputs["y"].shape == [None]
