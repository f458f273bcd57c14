"""Signatures: the named functions of an exported model. An exporting function receives a list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Signature:
    """A named function of an exported model. Its inputs and outputs are named tensors.

    Attributes:
        name: verb that describes the operation, such as ``classify``, ``forecast`` or ``translate``.
        function: function whose arguments have the names in ``inputs``. It returns a dictionary whose keys
            are the names in ``outputs``. The function is traced without AutoGraph. Use ``tf.cond`` and
            ``tf.while_loop`` instead of ``if`` and ``while``, or pass a ``tf.function``.
        inputs: shape and dtype of each input. None in a shape is a size that may differ between calls.
        outputs: names of the outputs.
        resources: all variables and tables that the function reads. A resource that is missing in this list
            is also missing in the exported file.

    Raises:
        ValueError: a name is not an identifier or is reserved by TensorFlow; the names in ``inputs`` are not
            the arguments of the function; or ``outputs`` is empty.

    >>> double = Signature("double", lambda x: {"y": 2 * x}, {"x": tf.TensorSpec([None])}, ("y",), [])
    >>> double.traced()(x=tf.ones(2))["y"].numpy()
    array([2., 2.], dtype=float32)
    """

    name: str
    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Mapping[str, tf.TensorSpec]
    outputs: tuple[str, ...]
    resources: Sequence[Any]

    def __post_init__(self) -> None:
        for name in (self.name, *self.inputs, *self.outputs):
            if not name.isidentifier():
                raise ValueError(f"the name of a signature or tensor must be an identifier; got {name!r}")
        if self.name in ("serve", "serving_default"):
            raise ValueError(f"{self.name!r} is reserved by TensorFlow; use another name for the signature")
        arguments = list(inspect.signature(self.function).parameters)
        if arguments != list(self.inputs):
            raise ValueError(
                f"inputs of {self.name} must have the same names and order as the function arguments "
                f"{arguments}; got {list(self.inputs)}"
            )
        if not self.outputs:
            raise ValueError(f"outputs of {self.name} must contain at least one name; got none")

    def traced(self) -> Any:
        """Returns the function as a graph, whose tensors have the names in ``inputs`` and ``outputs``.

        Raises:
            ValueError: the keys of the returned dictionary are not the names in ``outputs``.
        """
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=argument) for argument, spec in self.inputs.items()
        ]
        concrete = tf.function(self.function, autograph=False).get_concrete_function(*specs)
        if set(concrete.structured_outputs) != set(self.outputs):
            raise ValueError(
                f"{self.name} must return {sorted(self.outputs)}; got {sorted(concrete.structured_outputs)}"
            )
        return concrete


def save(folder: Path, signatures: Sequence[Signature]) -> None:
    """Writes a SavedModel with these signatures. The first signature is also ``serving_default``.

    The SavedModel contains no layers and classes of the project. Therefore, TensorFlow alone can load it.

    >>> double = Signature("double", lambda x: {"y": 2 * x}, {"x": tf.TensorSpec([None])}, ("y",), [])
    >>> save(folder / "model", [double])
    >>> sorted(tf.saved_model.load(str(folder / "model")).signatures)
    ['double', 'serving_default']
    """
    module = tf.Module()
    module.resources = [resource for signature in signatures for resource in signature.resources]
    traced = {signature.name: signature.traced() for signature in signatures}
    default = {"serving_default": traced[signatures[0].name]}
    tf.saved_model.save(module, str(folder), signatures={**default, **traced})
