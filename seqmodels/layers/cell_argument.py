"""Checks that the argument ``cell`` is a cell. If it is not, the error message describes the fix."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from seqmodels import registry
from seqmodels.cells import Cell


def checked_cell(cell: Any) -> Cell:
    """Returns the argument if it has the interface of :class:`seqmodels.cells.Cell`.

    Raises:
        ValueError: if the argument does not have this interface.
    """
    contract = ("project", "constants", "step")
    if isinstance(cell, keras.Layer) and all(hasattr(cell, name) for name in contract):
        return cell
    received, fix = _described(cell)
    raise ValueError(
        f"the cell must be an instance of a cell class, such as LSTMCell(64); got {received}; {fix}"
    )


def _described(cell: Any) -> tuple[str, str]:
    """Returns two parts of the error message: what the caller passed instead of a cell, and the fix."""
    default = "use a cell of seqmodels.cells"
    if isinstance(cell, str):
        entry = registry.CELLS.get(cell.lower())
        if entry is None:
            return f"the name {cell!r}", f"{default}; the available names are {', '.join(registry.CELLS)}"
        name = entry.path.partition(":")[2]
        options = "".join(f", {key}={value!r}" for key, value in entry.options.items())
        return f"the name {cell!r}", f"use {name}(units{options}) with {name} from seqmodels.cells"
    if isinstance(cell, list | tuple):
        return f"a {type(cell).__name__} of {len(cell)} values", "use Encoder(cells) to stack several cells"
    if inspect.isclass(cell):
        return f"the class {cell.__name__}", f"create an instance: {cell.__name__}(units)"
    name = type(cell).__name__
    if isinstance(cell, keras.layers.StackedRNNCells):
        return "a StackedRNNCells of Keras", "use Encoder(cells) with cells of seqmodels.cells"
    if isinstance(cell, keras.layers.RNN | keras.layers.Bidirectional):
        return f"the Keras layer {name}", "convert the built layer by seqmodels.layers.from_keras(layer)"
    if isinstance(cell, keras.layers.SimpleRNNCell | keras.layers.LSTMCell | keras.layers.GRUCell):
        ours = {"SimpleRNNCell": "RNNCell"}.get(name, name)
        return f"the Keras cell {name}", f"use {ours} from seqmodels.cells, or keras.layers.RNN(cell)"
    if isinstance(cell, keras.Layer):
        return f"the layer {name}", f"{default}, or pass a layer that defines project, constants and step"
    return f"{cell!r}", default
