"""Running text in contiguous columns, for truncated backpropagation with carried state."""

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
    """Splits a long text into contiguous columns, and the columns into windows.

    Column r of n contains the tokens ``r m .. (r + 1) m - 1`` with ``m = ceil(tokens / n)``. Row r of a batch
    continues row r of the previous batch, so that training can carry the state. Every token is a target
    exactly once, and its input is the previous token.

    Args:
        ids: token ids of the text, (tokens,).
        first: id of the input before the first token.
        batch_size: number of columns, n.
        lengths: lengths of the windows; each length is one shape. If there are several lengths, one is
            sampled per window.
        seed: random seed of the sampling, used together with ``epoch``.
        epoch: number of the epoch, from 0.

    Returns:
        Elements ``(tokens (n, length) int32, targets (n, length) int32, weights (n, length) float32)``.
        Padding at the end of the text and of the last window has weight 0.

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
