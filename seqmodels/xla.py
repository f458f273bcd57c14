"""XLA settings for training. Importing this module does not load TensorFlow."""

import os

FLAG = "--xla_cpu_experimental_ynn_fusion_type="


def set_xla_flags() -> None:
    """Disables the YNNPACK fusions of XLA through the environment variable ``XLA_FLAGS``.

    The function adds the flag ``--xla_cpu_experimental_ynn_fusion_type=`` to the variable. If the variable
    already contains this flag, or if its value is the path of a file, the variable is not changed.

    XLA can compute reductions and matrix products with the library YNNPACK. YNNPACK can crash the process if
    the first two runs of a compiled program overlap, for example on two parts of a batch. Both runs then
    write the constants of a fusion to one list without a lock (``EmitYnnFusionBuilder`` in XLA's
    ``ynn_emitter.cc``, TensorFlow 2.21). Without YNNPACK, XLA uses other code, which is equally fast.

    XLA reads the variable once per process, when it compiles its first program. Call this
    function before this compilation. TensorFlow may already be imported. After the first compilation, this
    function has no effect and raises no error. :class:`seqmodels.training.Training` and the command line
    call this function. If your program uses XLA before it creates a ``Training``, call this function first.

    >>> before = os.environ.get("XLA_FLAGS")
    >>> set_xla_flags()
    >>> before is not None or os.environ["XLA_FLAGS"].strip() == FLAG
    True
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG not in flags and not os.path.isfile(flags):
        os.environ["XLA_FLAGS"] = f"{FLAG} {flags}"
