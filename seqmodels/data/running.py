"""Running text in columns, for truncated backpropagation with carried state."""

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
    """Cuts one long text into contiguous columns, and these into windows, for training with carried state.

    Column r of n holds the tokens ``r m .. (r + 1) m - 1`` with ``m = ceil(tokens / n)``; window by window it
    goes on where it ended, so that row r of a batch continues row r of the batch before. Every token is a
    target exactly once, its input the token before it.

    Args:
        ids: the text, (tokens,).
        first: the id that stands before the first token.
        batch_size: number of columns, n.
        lengths: of the windows, each a shape; of several, one is drawn for each window.
        seed: with ``epoch`` decides the drawing.
        epoch: counted from 0.

    Returns:
        Elements ``(tokens (n, length) int32, targets (n, length) int32, weights (n, length) float32)``; what
        fills up the last column and the last window has weight 0.

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

    def cut(start, size):
        window = [part[:, start : start + size] for part in (tokens, targets, weights)]
        return tuple(tf.ensure_shape(part, (batch_size, static_length)) for part in window)

    ends = np.cumsum(sizes)
    starts = tf.data.Dataset.from_tensor_slices((ends - sizes, np.array(sizes)))
    return prefetched(starts.map(cut))
