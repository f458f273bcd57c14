"""The recurrent layers in NumPy float64, written from the papers' equations, one row and one step at a time.

Every product is one vector times one matrix. Every gate is a named slice of the packed weights. The code can
therefore be compared with the equations line by line. The module shares no code with the library.

A cell is a function ``(weights, x (d,), states) -> (output (h,), states)``; ``weights`` maps the names of the
library's variables to arrays, and ``states`` is a tuple of ``(h,)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
States = tuple[Array, ...]
Cell = Callable[[Weights, Array, States], tuple[Array, States]]
Scores = Callable[[Weights, Array, Array], Array]
Attend = Callable[[Array, Array], tuple[Array, Array]]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.where(x > 0.0, x, 0.0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def block(packed: Array, index: int, units: int) -> Array:
    """Returns the columns of the ``index``-th gate of packed weights ``(..., gates * units)``."""
    return packed[..., index * units : (index + 1) * units]


def rnn(weights: Weights, x: Array, states: States, activation: str = "tanh") -> tuple[Array, States]:
    """Elman 1990: ``h_t = phi(x_t W + h_{t-1} U + b)``."""
    (h,) = states
    h = ACTIVATIONS[activation](x @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"])
    return h, (h,)


def lstm(weights: Weights, x: Array, states: States) -> tuple[Array, States]:
    """Hochreiter and Schmidhuber 1997 with the forget gate of Gers, Schmidhuber and Cummins 2000."""
    h, c = states

    def gate(index: int) -> Array:
        w, u, b = (block(weights[name], index, len(h)) for name in ("kernel", "recurrent_kernel", "bias"))
        return x @ w + h @ u + b

    i, f, candidate, o = sigmoid(gate(0)), sigmoid(gate(1)), np.tanh(gate(2)), sigmoid(gate(3))
    c = f * c + i * candidate
    h = o * np.tanh(c)
    return h, (h, c)


def gru(weights: Weights, x: Array, states: States, reset_after: bool = False) -> tuple[Array, States]:
    """Cho et al. 2014, where u is the share that is written (Chung et al. 2014, section 3.2).

    ``reset_after=True`` is the form of Keras and cuDNN: the reset gate acts on the product, not on the state.
    """
    (h,) = states
    w_u, w_r, w_h = (block(weights["kernel"], index, len(h)) for index in range(3))
    u_u, u_r, u_h = (block(weights["recurrent_kernel"], index, len(h)) for index in range(3))
    b_u, b_r, b_h = (block(weights["bias"], index, len(h)) for index in range(3))
    u = sigmoid(x @ w_u + h @ u_u + b_u)
    r = sigmoid(x @ w_r + h @ u_r + b_r)
    if reset_after:
        candidate = np.tanh(x @ w_h + b_h + r * (h @ u_h + weights["recurrent_bias"]))
    else:
        candidate = np.tanh(x @ w_h + (r * h) @ u_h + b_h)
    h = (1.0 - u) * h + u * candidate
    return h, (h,)


def min_gru(weights: Weights, x: Array, states: States) -> tuple[Array, States]:
    """Feng et al. 2024 (arXiv 2410.01201), section 3.1."""
    (h,) = states
    update, candidate = (
        x @ block(weights["kernel"], index, len(h)) + block(weights["bias"], index, len(h))
        for index in range(2)
    )
    h = (1.0 - sigmoid(update)) * h + sigmoid(update) * candidate
    return h, (h,)


def min_lstm(weights: Weights, x: Array, states: States) -> tuple[Array, States]:
    """Feng et al. 2024 (arXiv 2410.01201), section 3.2, with the gates normalised by their sum."""
    (h,) = states
    i, f, candidate = (
        x @ block(weights["kernel"], index, len(h)) + block(weights["bias"], index, len(h))
        for index in range(3)
    )
    total = sigmoid(f) + sigmoid(i)
    h = sigmoid(f) / total * h + sigmoid(i) / total * candidate
    return h, (h,)


def rg_lru(weights: Weights, x: Array, states: States) -> tuple[Array, States]:
    """De et al. 2024 (arXiv 2402.19427), equations 1 to 4, with c = 8."""
    (h,) = states
    r, i, value = (
        x @ block(weights["kernel"], index, len(h)) + block(weights["bias"], index, len(h))
        for index in range(3)
    )
    a = sigmoid(weights["decay"]) ** (8.0 * sigmoid(r))
    h = a * h + np.sqrt(1.0 - a**2) * (sigmoid(i) * value)
    return h, (h,)


def run(
    cell: Cell,
    weights: Weights,
    inputs: Array,
    lengths: Sequence[int],
    states: Sequence[Array],
    reverse: bool = False,
) -> tuple[Array, list[Array]]:
    """Runs a cell over ragged rows ``inputs (n, T, d)`` from ``states``, each ``(n, h)``.

    Returns outputs ``(n, T, h)``, zero past the end of a row, and the states after the last real step of each
    row. ``reverse=True`` runs from the last real step to the first (Schuster and Paliwal 1997, section II.B).
    """
    outputs = np.zeros((*inputs.shape[:2], states[0].shape[1]))
    final = [np.array(state, dtype=np.float64) for state in states]
    for row, length in enumerate(lengths):
        state = tuple(tensor[row] for tensor in final)
        for t in reversed(range(length)) if reverse else range(length):
            outputs[row, t], state = cell(weights, inputs[row, t], state)
        for tensor, value in zip(final, state):
            tensor[row] = value
    return outputs, final


def encode(
    layers: Sequence[Sequence[tuple[Cell, Weights, Sequence[Array]]]],
    inputs: Array,
    lengths: Sequence[int],
    residual: bool = False,
) -> tuple[Array, list[list[list[Array]]]]:
    """Stacked layers (Graves et al. 2013), each with one or two directions (Schuster and Paliwal 1997).

    ``layers`` holds the cell, the weights and the initial states of each direction of each layer. Returns the
    outputs of the last layer, and the final states nested like ``layers``.
    """
    inputs = np.array(inputs)
    for row, length in enumerate(lengths):
        inputs[row, length:] = 0.0
    final = []
    for directions in layers:
        runs = [
            run(cell, weights, inputs, lengths, states, reverse=index == 1)
            for index, (cell, weights, states) in enumerate(directions)
        ]
        outputs = np.concatenate([output for output, _ in runs], axis=-1)
        final.append([states for _, states in runs])
        inputs = outputs + inputs if residual and outputs.shape == inputs.shape else outputs
    return inputs, final


def last(forward: Array, backward: Array | None, lengths: Sequence[int]) -> Array:
    """Returns the final output of each direction ``(n, T, h)``.

    The forward direction ends at the last real step, the backward direction at the first step.
    """
    rows = []
    for row, length in enumerate(lengths):
        ends = (
            [forward[row, length - 1]] if backward is None else [forward[row, length - 1], backward[row, 0]]
        )
        rows.append(np.concatenate(ends) * (length > 0))
    return np.stack(rows)


def mean(outputs: Array, lengths: Sequence[int]) -> Array:
    """Computes the mean of the real steps ``(n, T, h) -> (n, h)``. The result of an empty row is zero."""
    return _over_real_steps(lambda steps: steps.sum(axis=0) / len(steps), outputs, lengths)


def maximum(outputs: Array, lengths: Sequence[int]) -> Array:
    """Computes the maximum of the real steps ``(n, T, h) -> (n, h)``. The result of an empty row is zero."""
    return _over_real_steps(lambda steps: steps.max(axis=0), outputs, lengths)


def attention(weights: Weights, outputs: Array, lengths: Sequence[int]) -> Array:
    """Yang et al. 2016, equations 5 to 7: ``(n, T, h) -> (n, h)``. The result of an empty row is zero."""

    def attend(steps: Array) -> Array:
        scores = np.array(
            [np.tanh(h @ weights["kernel"] + weights["bias"]) @ weights["scorer"][:, 0] for h in steps]
        )
        shares = np.exp(scores) / np.sum(np.exp(scores))
        return sum(share * h for share, h in zip(shares, steps))

    return _over_real_steps(attend, outputs, lengths)


def softmax(scores: Array) -> Array:
    return np.exp(scores) / np.sum(np.exp(scores))


def additive_scores(weights: Weights, query: Array, memory: Array) -> Array:
    """Bahdanau et al. 2015, appendix A.1.2: ``(q,), (S, m) -> (S,)``."""
    return np.array(
        [
            np.tanh(query @ weights["query_kernel"] + m @ weights["memory_kernel"]) @ weights["scorer"][:, 0]
            for m in memory
        ]
    )


def general_scores(weights: Weights, query: Array, memory: Array) -> Array:
    """Luong et al. 2015, equation 8, general; the library stores the matrix transposed."""
    return np.array([query @ weights["kernel"].T @ m for m in memory])


def dot_scores(weights: Weights, query: Array, memory: Array) -> Array:
    """Luong et al. 2015, equation 8, dot."""
    return np.array([query @ m for m in memory])


def attend(scores: Scores, weights: Weights, query: Array, memory: Array) -> tuple[Array, Array]:
    """Computes the context and the weights of one query ``(q,)`` over the real steps ``(S, m)``.

    The context is zero if there are no real steps.
    """
    if not len(memory):
        return np.zeros(memory.shape[1]), np.zeros(0)
    shares = softmax(scores(weights, query, memory))
    return sum(share * m for share, m in zip(shares, memory)), shares


def multi_head(heads: int, weights: Weights, query: Array, memory: Array) -> tuple[Array, Array]:
    """Vaswani et al. 2017, sections 3.2.1 and 3.2.2; the returned weights are the mean over the heads."""
    units = weights["output_kernel"].shape[0] // heads
    contexts, shares = [], []
    for head in range(heads):
        w_q, w_k, w_v = (
            block(weights[name], head, units) for name in ("query_kernel", "key_kernel", "value_kernel")
        )
        if len(memory):
            share = softmax(np.array([(query @ w_q) @ (m @ w_k) / np.sqrt(units) for m in memory]))
        else:
            share = np.zeros(0)
        shares.append(share)
        contexts.append(sum((a * (m @ w_v) for a, m in zip(share, memory)), np.zeros(units)))
    return np.concatenate(contexts) @ weights["output_kernel"], np.mean(shares, axis=0)


def layer_norm(weights: Weights, x: Array) -> Array:
    """Ba et al. 2016, equation 4, with the epsilon of Keras."""
    return (x - np.mean(x)) / np.sqrt(np.var(x) + 1e-3) * weights["gamma"] + weights["beta"]


def decode(
    layers: Sequence[tuple[Cell, Weights, Sequence[Array]]],
    attention: Attend | None,
    readout: Weights,
    norms: Sequence[Weights],
    feeding: str,
    inputs: Array,
    memory: Array,
) -> tuple[Array, list[Array], list[Array]]:
    """Runs one row of a decoder.

    With attention: Luong et al. 2015, section 3 (``feeding`` none or output), or Bahdanau et al. 2015,
    section 3.1 and appendix A.2.2 (context). Without attention: Sutskever et al. 2014.

    ``layers`` holds the cell, the weights and the initial states ``(h,)`` of each layer. ``memory`` holds the
    real steps ``(S, m)``. ``norms`` holds the layer normalisations of the cells and of the readout, or is
    empty. Returns the outputs ``(T, units)``, the final states and the attention weights of each step.
    """
    states = [list(initial) for _, _, initial in layers]
    deep = "readout_input_kernel" in readout
    units = len(readout["readout_bias"]) // (2 if deep else 1)
    output, outputs, shares = np.zeros(units), [], []
    for x in inputs:
        share, features = np.zeros(0), x
        if feeding == "output":
            features = np.concatenate([x, output])
        if feeding == "context":
            context, share = attention(states[-1][0], memory)
            features = np.concatenate([x, context])
        for index, (cell, weights, _) in enumerate(layers):
            s, states[index] = cell(weights, features, tuple(states[index]))
            features = layer_norm(norms[index], s) if norms else s
        if attention is not None and feeding != "context":
            context, share = attention(s, memory)
        read = features if attention is None else np.concatenate([features, context])
        z = read @ readout["readout_kernel"] + readout["readout_bias"]
        if deep:
            z = z + x @ readout["readout_input_kernel"]
        if norms:
            z = layer_norm(norms[-1], z)
        output = np.array([max(z[2 * j], z[2 * j + 1]) for j in range(units)]) if deep else np.tanh(z)
        outputs.append(output)
        shares.append(share)
    last = [state for layer in states for state in layer] + ([output] if feeding == "output" else [])
    return np.array(outputs).reshape(len(inputs), units), last, shares


def _over_real_steps(summary: Callable[[Array], Array], outputs: Array, lengths: Sequence[int]) -> Array:
    rows = np.zeros((outputs.shape[0], outputs.shape[2]))
    for row, length in enumerate(lengths):
        if length:
            rows[row] = summary(outputs[row, :length])
    return rows
