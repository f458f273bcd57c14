"""Batches of token sequences in few shapes, built from flat arrays with TensorFlow operators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from seqmodels.data.prefetch import prefetched
from seqmodels.data.sequences import TokenSequences


def bucket_edges(
    lengths: np.ndarray, count: int = 8, maximum: int | None = None, multiple: int = 8
) -> list[int]:
    """Chooses the padded lengths of batches (edges) that need the fewest time steps in total.

    The choice is exact. Dynamic programming compares all candidates, which are the row lengths rounded up to
    a multiple of ``multiple``. ``steps[j]`` is the smallest number of padded steps for the rows up to
    candidate ``j``, if ``j`` is the last edge. It is the minimum of
    ``steps[i] + (rows between i and j) * candidate[j]`` over the previous edge ``i``.

    Args:
        lengths: number of tokens per row, (n,) int.
        count: maximum number of edges.
        maximum: length to which rows will be truncated; the last edge covers it. Default: the longest row.
        multiple: number that divides every edge.

    Returns:
        At most ``count`` edges, in ascending order.

    Raises:
        ValueError: ``lengths`` is empty and ``maximum`` is missing.

    >>> bucket_edges(np.array([3, 9, 10, 30]), count=2)
    [16, 32]
    """
    lengths = np.asarray(lengths, np.int64)
    if maximum is None and not lengths.size:
        raise ValueError("lengths must not be empty unless maximum is set; got no lengths")
    longest = lengths.max() if maximum is None else maximum
    padded = np.maximum(-(-np.append(np.minimum(lengths, longest), longest) // multiple), 1) * multiple
    candidates, rows = np.unique(padded, return_counts=True)
    rows[-1] -= 1  # the appended maximum is not a row
    covered = np.cumsum(rows)  # (candidates,) rows that fit into a candidate
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
    """Makes batches of rows of similar length, in at most ``len(edges)`` shapes.

    The order of all batches is computed in advance. ``len()`` of the dataset is therefore known, and
    ``skip(k)`` continues exactly after the first ``k`` batches.

    Args:
        sequences: n rows; the longest row must fit into the last edge.
        targets: targets of the rows, (n, ...). Default: no targets.
        weights: weights of the rows, (n,) float32. Default: 1 for every row.
        edges: padded lengths, ascending; a row is padded to the first edge that it fits into.
        batch_size: number of rows per batch, or a sequence with one number per edge.
        seed: random seed of the order, used together with ``epoch``.
        epoch: number of the epoch. The rows are shuffled, and the batches of all edges are mixed. The order
            depends on ``(seed, epoch)`` alone. Default: no shuffling; the rows are sorted by length, for
            evaluation (see ``evaluation_order``).
        of_rows: additional inputs per row by name, (n, ...).
        of_tokens: additional inputs per token by name, (tokens, ...).

    Returns:
        Elements ``({"tokens": (batch, edge) int32, "lengths": (batch,) int32}, targets (batch, ...), weights
        (batch,) float32)``. Without targets, None replaces the second item. The dictionary also contains
        ``of_rows``, ``(batch, ...)``, and ``of_tokens``, ``(batch, edge, ...)``, by their names. Tokens are
        padded with ``PAD``, other inputs with 0. The last batch of each edge is filled up with rows of
        length 0, weight 0 and target 0.

    Raises:
        ValueError: a row is longer than the last edge.

    >>> sequences = TokenSequences.from_lengths(np.array([4, 5, 6, 7, 8]), np.array([3, 2]))
    >>> dataset = batches(sequences, np.array([0, 1]), edges=[4], batch_size=2, epoch=0)
    >>> inputs, targets, weights = next(iter(dataset))
    >>> inputs["tokens"].shape, inputs["lengths"].shape, weights.numpy()
    (TensorShape([2, 4]), TensorShape([2]), array([1., 1.], dtype=float32))
    """
    plan = _plan(sequences.lengths, _buckets(sequences.lengths, edges), edges, batch_size, seed, epoch)
    if weights is None:
        weights = np.ones(len(sequences), np.float32)
    # Filler rows read the zeros behind the last row.
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
    """Shapes of the batches of sequence pairs.

    Attributes:
        sources: padded length of the sources per shape, ascending.
        targets: padded length of the targets per shape, ascending.
        rows: number of pairs in a batch, per shape.

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
        """Chooses shapes for pairs, so that all batches have about the same number of target tokens.

        :func:`bucket_edges` divides the pairs into ``count`` groups by the length of their longer side. The
        shape of a group is its longest source by its longest target.

        Args:
            sources: number of tokens per source, (n,).
            targets: number of tokens per target, (n,).
            tokens: maximum number of padded target tokens per batch. A batch of one pair may exceed it.
            count: maximum number of shapes.
            multiple: number that divides every length.
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
        """Finds the first shape that each pair of lengths fits into, (n,).

        Raises:
            ValueError: a pair does not fit into any shape.
        """
        found = np.maximum(np.searchsorted(self.sources, sources), np.searchsorted(self.targets, targets))
        if found.max(initial=0) >= len(self.rows):
            row = int(found.argmax())
            raise ValueError(
                f"a pair must have at most {self.sources[-1]} source and {self.targets[-1]} target tokens, "
                f"the last shape; got {sources[row]} and {targets[row]}; remove the pair"
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
    """Makes batches of pairs for teacher forcing, in few shapes with about the same number of tokens.

    A target ``START y END`` of k + 1 tokens yields the input ``START y`` and the k tokens to predict,
    ``y END``. The pairs are ordered as in :func:`batches`.

    Args:
        sources: n rows.
        targets: n rows of at least one token each.
        shapes: shapes of the batches.
        seed: random seed of the order; see :func:`batches`.
        epoch: number of the epoch; see :func:`batches`.

    Returns:
        Elements ``({"source": (batch, S), "source_lengths": (batch,), "target": (batch, T),
        "target_lengths": (batch,)} int32, targets (batch, T) int32, weights (batch,) float32)``. The last
        batch of each shape is filled up with pairs of length 0 and weight 0.

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
    """Returns the position of each row in the evaluation batches (``epoch=None``), (n,) int64.

    The arguments must be equal to the arguments of :func:`batches`. If ``outputs`` are the outputs of all
    batches, ``np.concatenate(outputs)[evaluation_order(...)]`` has the original order of the rows, (n, ...).
    Filler rows are dropped.

    >>> evaluation_order(np.array([9, 2, 5]), edges=[4, 12], batch_size=2)
    array([3, 0, 2])
    """
    slots = _plan(lengths, _buckets(lengths, edges), edges, batch_size, 0, None).slots
    return np.argsort(slots, kind="stable")[: len(lengths)]


@dataclass(frozen=True)
class _Plan:
    """Order of an epoch: a row number per slot (slots,), and the slots and bucket per batch (batches,).

    The row number n marks a filler row.
    """

    slots: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    buckets: np.ndarray


def _buckets(lengths: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    """Finds the first edge that each row fits into, (n,)."""
    if lengths.max(initial=0) > edges[-1]:
        raise ValueError(
            f"a row must have at most {edges[-1]} tokens, the last edge; got {lengths.max()}; truncate the "
            "rows"
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
    slots = np.full((batch_counts * sizes).sum(), len(lengths))  # filler rows follow the rows of their edge
    slots[np.arange(len(lengths)) + np.repeat(np.cumsum(fillers) - fillers, rows)] = order
    batch_sizes = np.repeat(sizes, batch_counts)
    starts = np.cumsum(batch_sizes) - batch_sizes
    batch_buckets = np.repeat(np.arange(len(edges)), batch_counts)
    shuffled = slice(None) if random is None else random.permutation(len(starts))
    return _Plan(slots, starts[shuffled], batch_sizes[shuffled], batch_buckets[shuffled])


def _padder(
    sequences: TokenSequences, first: int = 0, last: int = 0, values: np.ndarray | None = None
) -> Callable:
    """Returns a function ``(rows (batch,), edge) -> tokens (batch, edge), lengths (batch,)``, both int32.

    The function drops the ``first`` leading and the ``last`` trailing tokens of each row. Row n is a filler
    row of length 0. If ``values`` ``(tokens, ...)`` are given, they replace the tokens.
    """
    # Filler rows and padding read a zero that is appended to the rows and to the tokens.
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
