"""Named entry points of an exported model. The exporters need only a list of signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Signature:
    """A function over named tensors.

    Attributes:
        name: verb for the operation, such as ``classify``, ``forecast`` or ``translate``.
        function: function with the arguments ``inputs`` that returns a dictionary with the keys ``outputs``.
            It is traced without AutoGraph; use ``tf.cond`` and ``tf.while_loop``, or pass a ``tf.function``.
        inputs: shape and dtype of each input; None in a shape stands for a size that may vary between calls.
        outputs: names of the outputs.
        resources: every variable and table that the function reads. A resource that is missing here is also
            missing in the exported file.

    Raises:
        ValueError: a name is not an identifier or is reserved by TensorFlow, the inputs are not the arguments
            of the function, or there are no outputs.

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
                f"inputs of {self.name} must be the arguments of its function, {arguments}; got "
                f"{list(self.inputs)}"
            )
        if not self.outputs:
            raise ValueError(f"outputs of {self.name} must contain at least one name; got none")

    def traced(self) -> Any:
        """Returns the function as a graph whose tensors have the names of ``inputs`` and ``outputs``.

        Raises:
            ValueError: the function does not return exactly the names of ``outputs``.
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
    """Writes a SavedModel with these entry points; the first is also ``serving_default``.

    The SavedModel contains no layer and no class of the project, so that TensorFlow alone can load it.

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
