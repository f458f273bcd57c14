"""Recurrent networks from their equations, for Keras on TensorFlow.

Importing this package is cheap: it loads no TensorFlow and changes no environment variable. Take what you
need from its subpackages, for example ``from seqmodels.layers import Recurrent``. After ``import seqmodels``,
``keras.models.load_model`` finds the classes of a saved model.

Legend of the axis names that every docstring and comment in the project uses:

===========  =====================================================================
``n, batch``     sequences that are computed together
``T, time``      steps of the longest sequence in the batch, padding included
``d, inputs``    features of one step that enter a layer
``h, units``     features of a recurrent state
``p, projected`` columns of a cell's hoisted input projection (gates x units)
``v, vocabulary``  entries of a vocabulary
``classes``      labels that a classifier tells apart
===========  =====================================================================

``lengths`` is always ``(batch,)`` int32: how many leading steps of each row are real.
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
