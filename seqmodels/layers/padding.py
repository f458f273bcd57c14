"""Functions for padded sequences: checks of lengths and masks, and the conversion of a mask to lengths.

A real step is a time step that is not padding. In eager mode, a layer checks lengths and masks when it is
called. In a graph, the call can check only constants. All other values are checked when the graph runs. Code
that XLA has compiled cannot raise an error. In compiled code, a layer returns NaN for a row with an invalid
length or an invalid mask.

Exported files do not check lengths, because the exported signatures compute the lengths themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqmodels import kernels


def real_steps(x: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Returns a mask ``(n, T)`` for ``x (n, T, ...)`` that is True at real steps and False at padding."""
    batch, time = tf.unstack(tf.shape(x)[:2])
    return tf.ones((batch, time), tf.bool) if lengths is None else tf.sequence_mask(lengths, time)


def without_padding(x: tf.Tensor, lengths: tf.Tensor | None, training: bool = True) -> tf.Tensor:
    """Replaces the padding of ``x (n, T, d)`` by zeros, also if the padding is NaN or infinity.

    Without this replacement, the backward pass would multiply the padding by zero gradients. If the padding
    is NaN or infinity, this product is NaN.

    A model without training does not need the replacement, because padding does not change the results at
    real steps. If ``training`` is False, ``x`` is therefore returned unchanged in the forms ``unrolled`` and
    ``fused`` of the loop over time (:mod:`seqmodels.kernels.forms`). Most TFLite files have these forms.
    """
    if lengths is None or not (training or kernels.current_form() in ("auto", "generic")):
        return x
    return tf.where(real_steps(x, lengths)[..., None], x, tf.zeros_like(x))


def checked_lengths(lengths: Any, mask: Any, inputs: tf.Tensor) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """Checks lengths and a mask, and returns the number of real steps of each row.

    Args:
        lengths: integers ``(n,)`` as a tensor, an array or a list. None means that no lengths are passed.
        mask: booleans ``(n, T)``. In each row, the real steps must come before the padding. None means that
            no mask is passed.
        inputs: ``(n, T, d)``.

    Returns:
        lengths ``(n,)`` int32, and booleans ``(n,)`` that are True for valid rows. The lengths are None if
        neither lengths nor a mask is passed. The booleans are None if all rows are known to be valid.

    Raises:
        ValueError: if a shape or a dtype is wrong, or if values are invalid in eager mode or in a constant.
        tf.errors.InvalidArgumentError: when a graph runs, if values are invalid.
    """
    counts, valid = (None, None) if lengths is None else _from_lengths(lengths, inputs)
    if mask is None:
        return counts, valid
    masked, right_padded = _from_mask(mask, inputs)
    if counts is None:
        return masked, right_padded
    agree = _checked(
        counts == masked,
        "lengths and mask must describe the same real steps",
        "length {lengths} and {masked} real steps in the mask",
        "pass either lengths or mask",
        lengths=counts,
        masked=masked,
    )
    return counts, _both(valid, _both(right_padded, agree))


def _from_lengths(lengths: Any, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    lengths = as_tensor(lengths, "lengths")
    _check_shape("lengths", lengths, inputs, 1)
    if lengths.dtype.is_bool:
        raise ValueError(
            "lengths must be integers; got booleans; pass the number of real steps per row, or use mask=... "
            "for booleans of shape (batch, time)"
        )
    if not lengths.dtype.is_integer:
        raise ValueError(
            f"lengths must be integers; got {lengths.dtype.name}; convert them, for example by "
            "tf.cast(lengths, tf.int32)"
        )
    known, steps = _value(lengths), inputs.shape[1]
    if known is not None and steps is not None:
        inside = (known >= 0) & (known <= steps)
    else:
        wide = tf.cast(lengths, tf.int64)
        inside = (wide >= 0) & (wide <= tf.cast(tf.shape(inputs)[1], tf.int64))
    valid = None
    # The form is never ``auto`` when a file is exported. The file does not need the check, because the
    # exported function computes the lengths itself.
    if _value(inside) is not None or kernels.current_form() == "auto":
        valid = _checked(
            inside,
            f"lengths must be between 0 and the number of time steps, {inputs.shape[1]}",
            "length {lengths}",
            "correct the lengths, or pad the inputs to the longest row",
            lengths=lengths,
        )
    return tf.cast(lengths, tf.int32), valid


def _from_mask(mask: Any, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    mask = as_tensor(mask, "mask")
    _check_shape("mask", mask, inputs, 2)
    known, real = _value(mask), tf.cast(mask, tf.bool)
    if known is not None:
        right = ~np.any(known[:, 1:].astype(bool) & ~known[:, :-1].astype(bool), axis=1)  # (batch,)
    else:
        right = ~tf.reduce_any(real[:, 1:] & ~real[:, :-1], axis=1)
    valid = _checked(
        right,
        "mask must be True at the real steps of each row and False at the padding, which must be at the end",
        "a masked step before a real step",
        "move the padding to the end, for example by keras.utils.pad_sequences(..., padding='post'), and "
        "remove masked steps between real steps",
    )
    return tf.math.count_nonzero(real, axis=1, dtype=tf.int32), valid


def lengths_as_tensor(arguments: Any) -> Any:
    """Returns the arguments of a call. If the lengths are a list, the function converts them to a tensor.

    Args:
        arguments: tuple of the positional arguments, or dictionary of the keyword arguments.
    """
    if isinstance(arguments, dict):
        if isinstance(arguments.get("lengths"), list | tuple):
            return {**arguments, "lengths": as_tensor(arguments["lengths"], "lengths")}
    elif len(arguments) > 1 and isinstance(arguments[1], list | tuple):
        return (arguments[0], as_tensor(arguments[1], "lengths"), *arguments[2:])
    return arguments


def as_tensor(values: Any, name: str) -> tf.Tensor:
    """Converts a list, an array or a tensor to a tensor.

    Raises:
        ValueError: if the values are not a rectangular array.
    """
    if not isinstance(values, list | tuple):
        return tf.convert_to_tensor(values)
    if any(tf.is_tensor(value) for value in values):
        return tf.stack(values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be a tensor, an array or a flat list; got {values!r}") from error
    return tf.convert_to_tensor(array if array.size else array.astype(np.int32))


def _check_shape(name: str, x: tf.Tensor, inputs: tf.Tensor, rank: int) -> None:
    expected = "(batch,)" if rank == 1 else "(batch, time)"
    if x.shape.rank is None or inputs.shape[:rank].is_compatible_with(x.shape):
        return
    one = "integer per row" if rank == 1 else "boolean per time step"
    raise ValueError(
        f"{name} must have shape {expected}, which is {tuple(inputs.shape[:rank])} for these inputs; got "
        f"{tuple(x.shape)}; pass one {one}"
    )


def _checked(valid: Any, rule: str, found: str, remedy: str, **values: tf.Tensor) -> tf.Tensor | None:
    """Raises an error if a row is known to be invalid. Returns None if all rows are known to be valid.

    If the values of ``valid`` are not known before the graph runs, the function adds a check to the graph and
    returns ``valid``. Exported files do not contain this check.

    Args:
        valid: booleans ``(n,)`` that are True for valid rows, as a tensor or an array.
        rule: first part of the error message: the requirement.
        found: second part of the error message: a description of an invalid row. It contains the keys of
            ``values`` as placeholders, for example ``{lengths}``.
        remedy: last part of the error message: the fix.
        **values: integers ``(n,)``. The values of the first invalid row replace the placeholders.
    """
    known = _value(valid)
    if known is None:
        if kernels.current_form() != "auto":
            return valid
        assertion = tf.debugging.Assert(tf.reduce_all(valid), [f"{rule}; {remedy}"])
        with tf.control_dependencies([assertion]):
            return tf.identity(valid)
    if known.all():
        return None
    row = int(np.argmin(known))
    numbers = {name: int(np.asarray(_value(x))[row]) for name, x in values.items()}
    raise ValueError(f"{rule}; got {found.format(**numbers)} in row {row}; {remedy}")


def _value(x: Any) -> np.ndarray | None:
    """Returns the values of a tensor, or None if the values are computed only when the graph runs.

    The values of an eager tensor or of a constant in a graph are always returned.
    """
    if isinstance(x, np.ndarray):
        return x
    return tf.get_static_value(x) if tf.is_symbolic_tensor(x) else x.numpy()


def _both(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    return other if one is None else one if other is None else one & other
