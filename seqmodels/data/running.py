"""Splits a long text into batches. A language model can keep its state from batch to batch."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from seqmodels.data.prefetch import prefetched


def running_text(
    ids: np.ndarray,
    first: int,
    *,
    batch_size: int,
    lengths: Sequence[int],
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """Splits a long text into batches for truncated backpropagation through time.

    The text is split into n contiguous parts, where n is ``batch_size``. Each part has ``ceil(tokens / n)``
    tokens. Row r of every batch contains consecutive tokens of part r, and starts where row r of the previous
    batch ended. A model can therefore start each batch from the final states of the previous batch. Every
    token is a target exactly once, and the input for this target is the previous token.

    Args:
        ids: token ids of the text, (tokens,).
        first: token id that is the input for the first token of the text.
        batch_size: number of rows per batch, n. It is also the number of parts.
        lengths: possible lengths of a batch in time steps. One of them is sampled for each batch.
        seed: random seed. Together, ``seed`` and ``epoch`` determine the sampled lengths.
        epoch: number of the epoch, counted from 0.

    Returns:
        Dataset with elements ``(tokens (n, length) int32, targets (n, length) int32, weights (n, length)
        float32)``. The weight is 1 if the target is a token of the text. It is 0 at the padding that
        completes the last part and the last batch.

    >>> dataset = running_text(np.arange(4, 10), first=1, batch_size=2, lengths=[3])
    >>> tokens, targets, weights = next(iter(dataset))
    >>> tokens.numpy().tolist(), targets.numpy().tolist()
    ([[1, 4, 5], [6, 7, 8]], [[4, 5, 6], [7, 8, 9]])
    """
    steps = -(-len(ids) // batch_size)
    sizes, covered, random = [], 0, np.random.default_rng([seed, epoch])
    while covered < steps:
        sizes.append(int(random.choice(lengths)))
        covered += sizes[-1]

    def columns(values: np.ndarray) -> tf.Tensor:
        filled = np.pad(values, (0, steps * batch_size - len(values))).reshape(batch_size, steps)
        return tf.constant(np.pad(filled, ((0, 0), (0, covered - steps))))

    with tf.device("CPU"):
        tokens = columns(np.append(np.int32(first), ids[:-1]).astype(np.int32))
        targets = columns(ids.astype(np.int32))
        weights = columns(np.ones(len(ids), np.float32))
    static_length = lengths[0] if len(lengths) == 1 else None

    @tf.autograph.experimental.do_not_convert
    def cut(start, size):
        window = [part[:, start : start + size] for part in (tokens, targets, weights)]
        return tuple(tf.ensure_shape(part, (batch_size, static_length)) for part in window)

    ends = np.cumsum(sizes)
    starts = tf.data.Dataset.from_tensor_slices((ends - sizes, np.array(sizes)))
    return prefetched(starts.map(cut))
