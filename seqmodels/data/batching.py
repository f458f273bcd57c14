"""Functions that make batches of token sequences, so that the batches have few different shapes.

Sequences of similar length are grouped into buckets. All sequences of a bucket are padded to the same length,
which is called the edge of the bucket.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from seqmodels.data.prefetch import prefetched
from seqmodels.data.sequences import TokenSequences


def bucket_edges(
    lengths: np.ndarray, count: int = 8, maximum: int | None = None, multiple: int = 8
) -> list[int]:
    """Chooses the padded lengths of batches. These lengths are called edges.

    A row is padded to the first edge that is not shorter than the row. The chosen edges minimise the total
    number of time steps, including padding. The candidates for edges are the row lengths, rounded up to a
    multiple of ``multiple``. Dynamic programming finds the exact minimum:

    - For each j, a smaller problem is solved. It contains only the rows that fit into ``candidates[j]``, and
      its longest edge is ``candidates[j]``. ``steps[j]`` is the minimum number of time steps of this problem.
    - Let ``candidates[i]`` be the second longest edge of this problem, and let ``k[i]`` be the number of rows
      that are longer than ``candidates[i]``. These rows are padded to ``candidates[j]``.
    - ``steps[j]`` is therefore the minimum of ``steps[i] + k[i] * candidates[j]`` over all i.

    Args:
        lengths: number of tokens per row, (n,) int.
        count: maximum number of edges.
        maximum: length to which the caller truncates the rows. The longest edge is at least this length.
            Default: the length of the longest row.
        multiple: every edge is a multiple of this number.

    Returns:
        List of at most ``count`` edges in ascending order.

    Raises:
        ValueError: ``lengths`` is empty and ``maximum`` is not set.

    >>> bucket_edges(np.array([3, 9, 10, 30]), count=2)
    [16, 32]
    """
    lengths = np.asarray(lengths, np.int64)
    if maximum is None and not lengths.size:
        raise ValueError("lengths must contain at least one value, or maximum must be set; got neither")
    longest = lengths.max() if maximum is None else maximum
    padded = np.maximum(-(-np.append(np.minimum(lengths, longest), longest) // multiple), 1) * multiple
    candidates, rows = np.unique(padded, return_counts=True)
    rows[-1] -= 1  # the appended length does not belong to a row
    covered = np.cumsum(rows)  # (candidates,) number of rows that fit into each candidate
    backwards = np.tri(len(candidates), k=-1, dtype=bool)
    steps = covered * candidates
    choices = []
    for _ in range(count - 1):
        between = covered - covered[:, None]  # (from, to)
        totals = np.where(backwards, np.iinfo(np.int64).max, steps[:, None] + between * candidates)
        choices.append(totals.argmin(axis=0))
        steps = totals.min(axis=0)
    edge = len(candidates) - 1
    edges = {int(candidates[edge])}
    for choice in reversed(choices):
        edge = choice[edge]
        edges.add(int(candidates[edge]))
    return sorted(edges)


def batches(
    sequences: TokenSequences,
    targets: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    *,
    edges: Sequence[int],
    batch_size: int | Sequence[int],
    seed: int = 0,
    epoch: int | None = None,
    of_rows: Mapping[str, np.ndarray] | None = None,
    of_tokens: Mapping[str, np.ndarray] | None = None,
) -> tf.data.Dataset:
    """Makes batches. The rows of a batch have similar lengths.

    The batches have at most ``len(edges)`` different shapes. The order of all batches is computed in advance.
    Therefore ``len()`` of the dataset is known, and ``skip(k)`` skips exactly the first ``k`` batches.

    Args:
        sequences: n rows of tokens. No row may be longer than the longest edge.
        targets: one target per row, (n, ...). Default: no targets.
        weights: one weight per row, (n,) float32. Default: 1 for every row.
        edges: padded lengths in ascending order. A row is padded to the first edge that is not shorter
            than the row.
        batch_size: number of rows per batch, or a sequence with one number per edge.
        seed: random seed of the shuffling.
        epoch: number of the epoch. The rows and the batches are shuffled in an order that depends only on
            ``seed`` and ``epoch``. Default: no shuffling, for evaluation. The rows are then sorted by length,
            and ``evaluation_order`` restores their original order.
        of_rows: dictionary of additional inputs with one value per row: ``{name: array (n, ...)}``.
        of_tokens: dictionary of additional inputs with one value per token: ``{name: array (tokens, ...)}``.

    Returns:
        Dataset with elements ``(inputs, targets (batch, ...), weights (batch,) float32)``. Without targets,
        the elements contain None instead of the targets. ``inputs`` is the dictionary ``{"tokens": (batch,
        edge) int32, "lengths": (batch,) int32}``. The names in ``of_rows`` and ``of_tokens`` are further
        keys. Their values have the shapes ``(batch, ...)`` and ``(batch, edge, ...)``. Tokens are padded with
        ``PAD``, other inputs with 0. If too few rows with the same padded length are left for a batch,
        filler rows complete the batch. A filler row has the length 0, the weight 0 and the target 0.

    Raises:
        ValueError: a row is longer than the longest edge.

    >>> sequences = TokenSequences.from_lengths(np.array([4, 5, 6, 7, 8]), np.array([3, 2]))
    >>> dataset = batches(sequences, np.array([0, 1]), edges=[4], batch_size=2, epoch=0)
    >>> inputs, targets, weights = next(iter(dataset))
    >>> inputs["tokens"].shape, inputs["lengths"].shape, weights.numpy()
    (TensorShape([2, 4]), TensorShape([2]), array([1., 1.], dtype=float32))
    """
    plan = _plan(sequences.lengths, _buckets(sequences.lengths, edges), edges, batch_size, seed, epoch)
    if weights is None:
        weights = np.ones(len(sequences), np.float32)
    # The n rows have the indices 0 to n - 1. Filler rows complete a batch that has too few rows. Every filler
    # row has the index n, so each array with one entry per row gets an additional zero at this index.
    with tf.device("CPU"):
        slots = tf.constant(plan.slots)
        padded = _padder(sequences)
        padded_too = {name: _padder(sequences, values=values) for name, values in (of_tokens or {}).items()}
        rows_too = {name: tf.constant(_with_zero_row(values)) for name, values in (of_rows or {}).items()}
        row_weights = tf.constant(np.append(weights, 0), tf.float32)
        row_targets = None if targets is None else tf.constant(_with_zero_row(targets))
    static_size = batch_size if isinstance(batch_size, int) else None

    @tf.autograph.experimental.do_not_convert
    def cut(start, size, bucket):
        rows = tf.ensure_shape(slots[start : start + size], [static_size])  # (batch,)
        edge = tf.gather(edges, bucket)
        inputs = dict(zip(("tokens", "lengths"), padded(rows, edge)))
        inputs |= {name: one(rows, edge)[0] for name, one in padded_too.items()}
        inputs |= {name: tf.gather(values, rows) for name, values in rows_too.items()}
        batch_targets = None if row_targets is None else tf.gather(row_targets, rows)
        return inputs, batch_targets, tf.gather(row_weights, rows)

    dataset = tf.data.Dataset.from_tensor_slices((plan.starts, plan.sizes, plan.buckets))
    return prefetched(dataset.map(cut))


@dataclass(frozen=True)
class PairShapes:
    """Shapes that a batch of pairs can have. A pair consists of a source sequence and a target sequence.

    The three attributes are tuples with one entry per shape.

    Attributes:
        sources: padded length of the sources for each shape, in ascending order.
        targets: padded length of the targets for each shape, in ascending order.
        rows: number of pairs per batch, for each shape.

    >>> shapes = PairShapes(sources=(4, 8), targets=(4, 8), rows=(16, 8))
    >>> shapes.buckets(np.array([3, 3]), np.array([2, 7]))
    array([0, 1])
    """

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    rows: tuple[int, ...]

    @classmethod
    def choose(
        cls, sources: np.ndarray, targets: np.ndarray, tokens: int, count: int = 8, multiple: int = 4
    ) -> "PairShapes":
        """Chooses shapes such that all batches have about the same number of target tokens.

        The length of a pair is the length of its longer sequence. :func:`bucket_edges` groups pairs of
        similar length into at most ``count`` groups. Each group has a padded length for its sources
        and one for its targets: the lengths of its longest source and of its longest target, both rounded up
        to a multiple of ``multiple``.

        Args:
            sources: number of tokens per source, (n,).
            targets: number of tokens per target, (n,).
            tokens: maximum number of target tokens per batch, including padding. If a single pair has more
                tokens, its batch has one pair and exceeds the maximum.
            count: maximum number of shapes.
            multiple: every padded length is a multiple of this number.
        """
        longer = np.maximum(sources, targets)
        group = np.searchsorted(bucket_edges(longer, count, multiple=multiple), longer)
        used = np.unique(group)

        def longest(lengths: np.ndarray) -> tuple[int, ...]:
            edges = np.maximum.accumulate([lengths[group == each].max(initial=1) for each in used])
            return tuple((-(-edges // multiple) * multiple).tolist())

        target_edges = longest(targets)
        rows = (tokens // edge for edge in target_edges)
        return cls(longest(sources), target_edges, tuple(max(n // 8 * 8, n if n < 8 else 8, 1) for n in rows))

    def buckets(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns, for each of n pairs, the index of the first shape that is large enough, (n,).

        Args:
            sources: number of tokens per source, (n,).
            targets: number of tokens per target, (n,).

        Raises:
            ValueError: a pair does not fit into any shape.
        """
        found = np.maximum(np.searchsorted(self.sources, sources), np.searchsorted(self.targets, targets))
        if found.max(initial=0) >= len(self.rows):
            row = int(found.argmax())
            raise ValueError(
                f"a pair must have at most {self.sources[-1]} source tokens and {self.targets[-1]} target "
                f"tokens to fit into a shape; got {sources[row]} source tokens and {targets[row]} target "
                "tokens; remove the pair"
            )
        return found


def pair_batches(
    sources: TokenSequences,
    targets: TokenSequences,
    shapes: PairShapes,
    *,
    seed: int = 0,
    epoch: int | None = None,
) -> tf.data.Dataset:
    """Makes batches of (source, target) pairs for teacher forcing. The batches have the given shapes.

    In teacher forcing, the decoder receives one target token at each time step and predicts the next token.
    A target row is ``START y END``, where y stands for all other tokens. Each row gives two sequences. The
    input of the decoder is ``START y``, the row without its last token. The tokens to predict are ``y END``,
    the row without its first token. The pairs are ordered as in :func:`batches`.

    Args:
        sources: n rows of tokens.
        targets: n rows of tokens. Each row has at least one token.
        shapes: shapes of the batches. ``shapes.targets`` contains lengths of ``y END``, without ``START``.
        seed: random seed of the order; see :func:`batches`.
        epoch: number of the epoch; see :func:`batches`.

    Returns:
        Dataset with elements ``(inputs, tokens to predict (batch, T) int32, weights (batch,) float32)``.
        ``inputs`` is the dictionary ``{"source": (batch, S), "source_lengths": (batch,),
        "target": (batch, T), "target_lengths": (batch,)}``, all int32. S and T are the padded lengths of the
        sources and of the targets. If too few pairs with the same shape are left for a batch, filler pairs
        complete the batch. A filler pair has the length 0 and the weight 0.

    Raises:
        ValueError: a pair does not fit into any shape.

    >>> sequences = TokenSequences.from_lengths(np.array([1, 4, 5, 3]), np.array([4]))
    >>> dataset = pair_batches(sequences, sequences, PairShapes((4,), (4,), (2,)))
    >>> inputs, targets, weights = next(iter(dataset))
    >>> inputs["target"][0].numpy(), targets[0].numpy(), weights.numpy()
    (array([1, 4, 5, 0], dtype=int32), array([4, 5, 3, 0], dtype=int32), array([1., 0.], dtype=float32))
    """
    steps = targets.lengths - 1
    bucket = shapes.buckets(sources.lengths, steps)
    plan = _plan(np.maximum(sources.lengths, steps), bucket, shapes.targets, shapes.rows, seed, epoch)
    with tf.device("CPU"):
        slots = tf.constant(plan.slots)
        source, given, wanted = _padder(sources), _padder(targets, last=1), _padder(targets, first=1)
        weights = tf.constant(np.append(np.ones(len(sources)), 0), tf.float32)

    @tf.autograph.experimental.do_not_convert
    def cut(start, size, bucket):
        rows = slots[start : start + size]  # (batch,)
        edge = tf.gather(shapes.targets, bucket)
        inputs = dict(zip(("source", "source_lengths"), source(rows, tf.gather(shapes.sources, bucket))))
        inputs |= dict(zip(("target", "target_lengths"), given(rows, edge)))
        return inputs, wanted(rows, edge)[0], tf.gather(weights, rows)

    dataset = tf.data.Dataset.from_tensor_slices((plan.starts, plan.sizes, plan.buckets))
    return prefetched(dataset.map(cut))


def evaluation_order(
    lengths: np.ndarray, *, edges: Sequence[int], batch_size: int | Sequence[int]
) -> np.ndarray:
    """Returns indices that restore the original order of the rows after evaluation, (n,) int64.

    For evaluation, :func:`batches` is called with ``epoch=None`` and sorts the rows by length. Let
    ``outputs`` be a list with the outputs of each batch. Then
    ``np.concatenate(outputs)[evaluation_order(...)]`` contains the outputs in the original order, (n, ...).
    The outputs of filler rows, which complete a batch, are dropped. ``lengths`` contains the number of tokens
    per row. ``edges`` and ``batch_size`` must have the same values as in the call of :func:`batches`.

    >>> evaluation_order(np.array([9, 2, 5]), edges=[4, 12], batch_size=2)
    array([3, 0, 2])
    """
    slots = _plan(lengths, _buckets(lengths, edges), edges, batch_size, 0, None).slots
    return np.argsort(slots, kind="stable")[: len(lengths)]


@dataclass(frozen=True)
class _Plan:
    """The contents of all batches of an epoch, in the order of the batches.

    A batch consists of slots. Each slot contains one of the n rows of the data, or a filler row. Filler rows
    complete a batch that has too few rows.

    Attributes:
        slots: index of the row in each slot, (slots,). The rows of the data have the indices 0 to n - 1, and
            every filler row has the index n.
        starts: for each batch, the position of its first slot in ``slots``, (batches,).
        sizes: for each batch, the number of its slots, (batches,).
        buckets: for each batch, the index of its edge, (batches,). If the rows are pairs, it is the index of
            the batch's shape.
    """

    slots: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    buckets: np.ndarray


def _buckets(lengths: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    """Returns, for each of n rows, the index of the first edge that is not shorter than the row, (n,)."""
    if lengths.max(initial=0) > edges[-1]:
        raise ValueError(
            f"a row must have at most {edges[-1]} tokens, the largest value of edges; "
            f"got {lengths.max()}; truncate the rows"
        )
    return np.searchsorted(edges, lengths)


def _plan(
    lengths: np.ndarray,
    bucket: np.ndarray,
    edges: Sequence[int],
    batch_size: int | Sequence[int],
    seed: int,
    epoch: int | None,
) -> _Plan:
    sizes = np.broadcast_to(np.asarray(batch_size, np.int64), len(edges))
    random = None if epoch is None else np.random.default_rng([seed, epoch])
    if random is None:
        order = np.lexsort((lengths, bucket))
    else:
        order = random.permutation(len(lengths))
        order = order[np.argsort(bucket[order], kind="stable")]
    rows = np.bincount(bucket, minlength=len(edges))
    batch_counts = -(-rows // sizes)
    fillers = batch_counts * sizes - rows
    slots = np.full((batch_counts * sizes).sum(), len(lengths))  # filler rows come last in each bucket
    slots[np.arange(len(lengths)) + np.repeat(np.cumsum(fillers) - fillers, rows)] = order
    batch_sizes = np.repeat(sizes, batch_counts)
    starts = np.cumsum(batch_sizes) - batch_sizes
    batch_buckets = np.repeat(np.arange(len(edges)), batch_counts)
    shuffled = slice(None) if random is None else random.permutation(len(starts))
    return _Plan(slots, starts[shuffled], batch_sizes[shuffled], batch_buckets[shuffled])


def _padder(
    sequences: TokenSequences, first: int = 0, last: int = 0, values: np.ndarray | None = None
) -> Callable:
    """Returns a function that makes padded batches of rows.

    The returned function receives the indices of the rows ``(batch,)`` and the padded length ``edge``. It
    returns the tokens ``(batch, edge)`` and the lengths ``(batch,)``, both int32. The n rows of ``sequences``
    have the indices 0 to n - 1. The index n stands for a filler row, which has the length 0.

    Args:
        sequences: n rows of tokens.
        first: number of tokens to drop at the start of each row.
        last: number of tokens to drop at the end of each row.
        values: one value per token, ``(tokens, ...)``. If it is given, the returned function returns these
            values instead of the tokens.
    """
    # A zero is appended to the tokens, and all padding gets its value from this zero. A zero is also appended
    # to the lengths, because filler rows have the length 0.
    numbers = tf.constant(_with_zero_row(sequences.values if values is None else values))
    begins = tf.constant(sequences.row_splits)
    lengths = tf.constant(np.append(sequences.lengths - first - last, 0))

    def padded(rows: tf.Tensor, edge: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        row_lengths = tf.gather(lengths, rows)
        steps = tf.cast(tf.range(edge), row_lengths.dtype)
        real = steps < row_lengths[:, None]  # (batch, edge)
        places = tf.where(real, tf.gather(begins, rows)[:, None] + steps + first, begins[-1])
        return tf.gather(numbers, places), tf.cast(row_lengths, tf.int32)

    return padded


def _with_zero_row(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, np.zeros_like(array[:1], shape=(1, *np.shape(array)[1:]))])
