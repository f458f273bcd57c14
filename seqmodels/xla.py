"""XLA settings for training. Importing this module does not load TensorFlow."""

import os

FLAG = "--xla_cpu_experimental_ynn_fusion_type="


def set_xla_flags() -> None:
    """Disables the YNNPACK fusions of XLA through the environment variable ``XLA_FLAGS``.

    The variable is not changed if it already contains the flag of the fusions, or if it is the path of a file
    with flags.

    XLA can compute reductions and matrix products with the library YNNPACK. YNNPACK can crash the process if
    the first two runs of a compiled program overlap, for example on two parts of a batch. Both runs then
    write the constants of a fusion to one list without a lock (``EmitYnnFusionBuilder`` in XLA's
    ``ynn_emitter.cc``, TensorFlow 2.21). Without YNNPACK, XLA uses other code, which is equally fast.

    XLA reads the variable once per process, when it compiles its first program. Importing TensorFlow or
    running its operators without XLA does not compile a program. After the first compilation, this function
    has no effect, and XLA offers no way to detect this. :class:`seqmodels.training.Training` and the command
    line call this function. Call it yourself if your program compiles functions with XLA before it creates a
    ``Training``.

    >>> before = os.environ.get("XLA_FLAGS")
    >>> set_xla_flags()
    >>> before is not None or os.environ["XLA_FLAGS"].strip() == FLAG
    True
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG not in flags and not os.path.isfile(flags):
        os.environ["XLA_FLAGS"] = f"{FLAG} {flags}"
