"""Recurrent networks for Keras on TensorFlow, implemented from their equations.

Importing this package is fast: it does not load TensorFlow and does not change environment variables. Import
the classes and functions that you need from the subpackages, for example
``from seqmodels.layers import Recurrent``. After ``import seqmodels``, ``keras.models.load_model`` can load
models that contain classes of this package.

Docstrings and comments describe the shape of a tensor, for example ``(n, T, d)``, with these names:

- ``n`` or ``batch``: number of sequences in a batch. Each row of the tensor is a sequence
- ``T`` or ``time``: number of time steps of the longest sequence in the batch, including padding
- ``d`` or ``inputs``: number of input features of a layer at each time step
- ``h`` or ``units``: number of features of a recurrent state
- ``p`` or ``projected``: number of columns of a cell's input projection, which is computed before the loop
  over time. Most cells have ``units`` columns per gate and ``units`` columns for the candidate state
- ``v`` or ``vocabulary``: number of token ids of a vocabulary
- ``classes``: number of labels of a classifier

The argument ``lengths`` always has the shape ``(batch,)`` and the dtype int32. It contains the number of real
time steps of each sequence. Real steps are the steps that are not padding. The padding follows the real
steps.
"""

from seqmodels.lazy import lazy
from seqmodels.registration import register

__all__ = [
    "analysis",
    "cells",
    "data",
    "decoding",
    "evaluation",
    "export",
    "kernels",
    "layers",
    "models",
    "training",
]
__version__ = "0.1.0"
__getattr__ = lazy(__name__, {name: name for name in __all__})

register()
