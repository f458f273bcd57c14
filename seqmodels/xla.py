"""Settings of XLA that a training needs. Loads no TensorFlow."""

import os

FLAG = "--xla_cpu_experimental_ynn_fusion_type="


def set_xla_flags() -> None:
    """Switches YNNPACK fusions off in ``XLA_FLAGS``, unless the variable sets them or names a file of flags.

    XLA may run reductions and products by YNNPACK. Two first runs of one program at the same time, as the
    parts of a batch are, build the constants of such a fusion in one unguarded list, which can crash the
    process (``EmitYnnFusionBuilder`` in XLA's ``ynn_emitter.cc``, TensorFlow 2.21). XLA's own code is
    as fast.

    XLA reads its flags once per process, when it first compiles; importing TensorFlow or running its
    operators does not compile. A later call changes the variable but not the programs, and XLA offers no way
    to find out. :class:`seqmodels.training.Training` and the command line call this function; call it
    yourself if your program compiles functions with XLA before it makes a ``Training``.

    >>> before = os.environ.get("XLA_FLAGS")
    >>> set_xla_flags()
    >>> before is not None or os.environ["XLA_FLAGS"].strip() == FLAG
    True
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG not in flags and not os.path.isfile(flags):
        os.environ["XLA_FLAGS"] = f"{FLAG} {flags}"
