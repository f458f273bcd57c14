"""Checks of the inputs of cells and layers, and the conversion of the inputs to floats."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def as_numbers(x: Any, dtype: str, name: str) -> tf.Tensor:
    """Converts ``x`` to a tensor of floats. Integers and booleans are also converted, as in Keras' layers.

    Args:
        x: a tensor or array.
        dtype: a float dtype.
        name: name of the argument. The error messages contain this name.

    Raises:
        ValueError: if ``x`` is ragged, or if it contains strings or complex numbers.
    """
    if isinstance(x, tf.RaggedTensor):
        raise ValueError(
            f"{name} must be a padded tensor; got a RaggedTensor; pass {name}.to_tensor() and "
            f"lengths={name}.row_lengths()"
        )
    x = tf.convert_to_tensor(x)
    if x.dtype == dtype:
        return x
    if not (x.dtype.is_floating or x.dtype.is_integer or x.dtype.is_bool):
        raise ValueError(
            f"{name} must be numbers; got {x.dtype.name}; convert {name} to floats; for texts, use a "
            "tokenizer and an embedding"
        )
    return tf.cast(x, dtype)


def check_features(owner: str, shape: Any, expected: int | None) -> None:
    """Checks that inputs have the number of features for which a cell or a layer was built.

    Args:
        owner: name of the cell or layer. The error message contains this name.
        shape: shape of the inputs. The last axis contains the features.
        expected: number of features for which the cell or layer was built. None skips the check.

    Raises:
        ValueError: if the two numbers of features differ.
    """
    features = shape[-1]
    if None not in (features, expected) and features != expected:
        raise ValueError(
            f"{owner} was built for inputs with {expected} features; got {features} features in inputs of "
            f"shape {tuple(shape)}; pass {expected} features, or create a new layer for these inputs"
        )


def check_rank(owner: str, shape: Any) -> None:
    """Checks that inputs have the three axes batch, time and features.

    Args:
        owner: name of the layer's class. The error message contains this name.
        shape: shape of the inputs.

    Raises:
        ValueError: if the shape does not have three axes.
    """
    if len(shape) != 3:
        raise ValueError(
            f"inputs of {owner} must have shape (batch, time, features); got {tuple(shape)}; for token ids, "
            "add an embedding; for series with one feature, add an axis by inputs[..., None]"
        )
