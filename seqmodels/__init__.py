"""Recurrent networks from their equations, for Keras on TensorFlow.

Importing this package is cheap: it loads no TensorFlow and changes no environment variable. Take what you need from its modules,
for example ``from seqmodels.layers import LSTMCell, Recurrent``.

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

__version__ = "0.1.0"
