"""Recurrent networks from their equations, for Keras on TensorFlow.

Importing this package is cheap: it loads no TensorFlow. Take what you need from its modules,
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

import os

__version__ = "0.1.0"

# One program that runs twice at the same time, as the parts of a batch do, kills the process now and then:
# XLA has reductions and products run by YNNPACK, and both runs build what that needs from one unguarded
# list of constants (EmitYnnFusionBuilder in XLA's ynn_emitter.cc, in TensorFlow 2.21). XLA's own code is as
# fast here. It reads its flags, or the name of a file that has them, when it first compiles.
_FLAG, _yours = "--xla_cpu_experimental_ynn_fusion_type=", os.environ.get("XLA_FLAGS", "")
if _FLAG not in _yours and not os.path.isfile(_yours):
    os.environ["XLA_FLAGS"] = f"{_FLAG} {_yours}"
