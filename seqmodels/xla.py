"""XLA settings for training. The module loads no TensorFlow."""

import os

FLAG = "--xla_cpu_experimental_ynn_fusion_type="


def set_xla_flags() -> None:
    """Disables YNNPACK fusions in ``XLA_FLAGS``, unless the variable sets them or names a file of flags.

    XLA can run reductions and matrix products with YNNPACK. This can crash the process if a program runs
    for the first time twice at once, for example on two parts of a batch. Both runs then build the constants
    of a fusion in one unguarded list (``EmitYnnFusionBuilder`` in XLA's ``ynn_emitter.cc``, TensorFlow 2.21).
    XLA's own code is as fast as YNNPACK.

    XLA reads its flags once per process, when it first compiles a program. Importing TensorFlow or running
    its operators does not compile a program. A later call changes the variable but not the compiled programs,
    and XLA offers no way to detect this. :class:`seqmodels.training.Training` and the command line call this
    function. Call it yourself if your program compiles functions with XLA before it makes a ``Training``.

    >>> before = os.environ.get("XLA_FLAGS")
    >>> set_xla_flags()
    >>> before is not None or os.environ["XLA_FLAGS"].strip() == FLAG
    True
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG not in flags and not os.path.isfile(flags):
        os.environ["XLA_FLAGS"] = f"{FLAG} {flags}"
