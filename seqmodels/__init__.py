"""Recurrent networks from their equations, for Keras on TensorFlow.

Importing this package is cheap: it loads no TensorFlow and changes no environment variable. Import what you
need from its subpackages, for example ``from seqmodels.layers import Recurrent``. After ``import seqmodels``,
``keras.models.load_model`` finds the classes of a saved model.

Every docstring and comment in the project uses these axis names:

- ``n, batch``: sequences that are computed together
- ``T, time``: time steps of the longest sequence in the batch, including padding
- ``d, inputs``: features of one time step that enter a layer
- ``h, units``: features of a recurrent state
- ``p, projected``: columns of a cell's input projection (gates x units), which is computed before the loop
- ``v, vocabulary``: entries of a vocabulary
- ``classes``: labels of a classifier

``lengths`` is always ``(batch,)`` int32: the number of leading time steps of each row that are not padding.
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
