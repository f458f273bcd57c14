"""A named entry point of an exported model. Exporters work from a list of these and from nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Signature:
    """One function over named tensors.

    Attributes:
        name: says what happens: ``classify``, ``forecast``, ``translate``.
        function: takes its tensors by the names of ``inputs`` and returns a dictionary with the keys of
            ``outputs``.
        inputs: shape and type of each input; None in a shape for what may differ from call to call.
        outputs: names of the results.
        resources: every variable and table that the function reads; one that is missing here would be missing
            in the file.

    Raises:
        ValueError: a name that is no identifier or that TensorFlow keeps for itself, inputs that are not the
            function's arguments, or no outputs.

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
                raise ValueError(f"{name!r} cannot name a signature or a tensor; expected an identifier")
        if self.name in ("serve", "serving_default"):
            raise ValueError(f"{self.name!r} is TensorFlow's own name; call a signature by what it does")
        arguments = list(inspect.signature(self.function).parameters)
        if arguments != list(self.inputs):
            raise ValueError(f"{self.name} has inputs {list(self.inputs)}; its function takes {arguments}")
        if not self.outputs:
            raise ValueError(f"{self.name} has no outputs; expected at least one name")

    def traced(self) -> Any:
        """The function as a graph whose tensors have the names of ``inputs`` and ``outputs``.

        Raises:
            ValueError: the function returns other names than ``outputs``.
        """
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=argument) for argument, spec in self.inputs.items()
        ]
        concrete = tf.function(self.function).get_concrete_function(*specs)
        if set(concrete.structured_outputs) != set(self.outputs):
            raise ValueError(
                f"{self.name} returned {sorted(concrete.structured_outputs)}; expected {sorted(self.outputs)}"
            )
        return concrete


def save(folder: Path, signatures: Sequence[Signature]) -> None:
    """Writes a SavedModel with these entry points; the first is also ``serving_default``.

    TensorFlow alone writes what TensorFlow alone can load: no layer and no class of ours is in the file.

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
