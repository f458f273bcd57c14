"""Prefetching, the last step of every input pipeline."""

from __future__ import annotations

import tensorflow as tf


def prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetches two elements while the current element is used.

    The automatic tuning of the pipeline is disabled. Its thread sleeps for up to a minute at a time, and the
    end of an iteration may wait until the thread wakes up. TensorFlow 2.21 waited in this way at the end of
    most long epochs.

    >>> [int(number) for number in prefetched(tf.data.Dataset.range(3))]
    [0, 1, 2]
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)
