"""The implementations in `benchmarks.layers` that use TensorFlow: Keras' layers and our layers.

The implementation "products alone" computes only the matrix products of our layers.

Keras' model and our model differ only in the recurrent layers. For training, Keras' model uses the step
of Keras' `fit`, and our model uses the step of our training loop, as in the apps. For inference, both models
use the step of Keras' `predict`.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from apps.options import TrainOptions
from apps.training import make_training
from benchmarks.shapes import FLOOR, RECOMPUTING, WHOLE, Shape
from benchmarks.worker import Step, serve
from seqmodels import kernels
from seqmodels.cells.linear import LinearCell
from seqmodels.layers import Encoder
from seqmodels.registry import CELLS, make
from seqmodels.training import Training
from seqmodels.training.objectives import Outcome
from seqmodels.xla import set_xla_flags


def build(side: str, cell: str, mode: str, shape: Shape) -> Step:
    """Builds a function that runs one training step of plain gradient descent, or one forward pass."""
    set_xla_flags()
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    if side == FLOOR:
        return products(cell, mode, shape)
    keras_layers = side.startswith("Keras")
    model = keras_model(cell, shape) if keras_layers else our_model(cell, shape)
    model.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True) if shape.vocabulary else "mse",
        jit_compile="auto" if side == "Keras" else True,
    )
    if shape.vocabulary:
        size = (shape.batch, shape.time)
        x, target = (tf.random.uniform(size, maxval=shape.vocabulary, dtype=tf.int32) for _ in range(2))
    else:
        x = tf.random.normal((shape.batch, shape.time, shape.units))
        target = tf.random.normal((shape.batch, *model.output_shape[1:]))
    if shape.bidirectional:
        x = (x, tf.constant(shape.lengths))
    form = "generic" if side == "generic loop" else "auto"
    if mode == "training" and not keras_layers:
        training = our_training(model, shape, parts=1 if side == WHOLE else 2)

        def train() -> None:
            with kernels.form(form), kernels.recompute() if side == RECOMPUTING else nullcontext():
                facts, _ = training.steps.train((x, target, tf.ones((shape.batch,))), ())
            facts["total"].numpy()

        return train
    # The training step of Keras receives an iterator. The prediction step receives a list of batches.
    data = iter(tf.data.Dataset.from_tensors((x, target)).repeat()) if mode == "training" else [(x,)]
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    model.make_predict_function()
    function = model.train_function if mode == "training" else model.predict_function

    def step() -> None:
        with kernels.form(form):
            result = function(data)
        tf.nest.flatten(result)[0].numpy()

    return step


def keras_model(cell: str, shape: Shape) -> keras.Model:
    """Returns a model with a stack of Keras' layers. A mask marks the time steps that are not padding."""
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    inputs, x, lengths = _inputs(shape)
    mask = None if lengths is None else Mask(shape.time)(lengths)
    for _ in range(shape.layers):
        recurrent = layer(shape.units, return_sequences=True)
        if shape.bidirectional:
            recurrent = keras.layers.Bidirectional(recurrent)
        x = recurrent(x, mask=mask)
    return keras.Model(inputs, _outputs(x, shape))


class Mask(keras.layers.Layer):
    """Converts lengths ``(batch,)`` to a mask ``(batch, time)``: True for time steps that are not padding."""

    def __init__(self, time: int):
        super().__init__()
        self.time = time

    def call(self, lengths: tf.Tensor) -> tf.Tensor:
        return tf.sequence_mask(lengths, self.time)


class Stack(keras.layers.Layer):
    """A layer that contains our encoder. It returns the outputs of the encoder, without the states.

    Args:
        cell: name of a cell, such as "mingru". With "mingru by rounds", the cell is "mingru". Its linear
            recurrence then uses the method "rounds", which is a parallel scan.
        shape: sizes of the stack.
    """

    def __init__(self, cell: str, shape: Shape):
        super().__init__()
        name, *method = cell.split(" by ")
        name = "gru-reset-after" if name == "gru" else name
        cells = [make(CELLS, name, units=shape.units) for _ in range(shape.layers)]
        for each in cells if method else ():
            each.sequence = partial(_sequence, each, method[0])
        self.encoder = Encoder(cells, bidirectional=shape.bidirectional)

    def build(self, x_shape: tuple, lengths_shape: tuple | None = None) -> None:
        self.encoder.build(x_shape)
        self.built = True

    def call(self, x: tf.Tensor, lengths: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return self.encoder(x, lengths=lengths, training=training).outputs

    def compute_output_shape(self, x_shape: tuple, lengths_shape: tuple | None = None) -> tuple:
        return (*x_shape[:2], self.encoder.output_size)


def _sequence(cell: LinearCell, method: str, x: tf.Tensor, states: tuple, lengths: None, _: tuple) -> tuple:
    """Replaces `LinearCell.sequence`: computes the linear recurrence with the given method."""
    outputs, last = kernels.linear_recurrence(*cell.coefficients(x), states[0], lengths, method)
    return outputs, (last,)


def our_model(cell: str, shape: Shape) -> keras.Model:
    """Returns the model of :func:`keras_model` with our layers instead of Keras' layers."""
    inputs, x, lengths = _inputs(shape)
    return keras.Model(inputs, _outputs(Stack(cell, shape)(x, lengths), shape))


def our_training(model: keras.Model, shape: Shape, parts: int) -> Training:
    """Returns a :class:`Training` that uses our training loop.

    The loss is equal to the loss of Keras' model. As in all implementations, the optimizer is plain gradient
    descent without clipping.
    """

    def objective(model: keras.Model, x: tf.Tensor, target: tf.Tensor, *_: Any) -> Outcome:
        outputs = model(x, training=True)
        if shape.vocabulary:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target, outputs)
        else:
            losses = tf.square(outputs - target)
        return Outcome(tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32), {})

    options = TrainOptions(epochs=1, optimizer="sgd", learning_rate=0.01, clipnorm=None, parts=parts)
    nothing = tf.data.Dataset.range(0)
    return make_training(options, lambda: model, objective, lambda _: nothing, lambda: nothing, Path())


def _inputs(shape: Shape) -> tuple:
    """Returns three values: the model's inputs, the input vectors of the stack, and the lengths or None."""
    if shape.vocabulary:
        ids = keras.Input((shape.time,), dtype="int32")
        return ids, keras.layers.Embedding(shape.vocabulary, shape.units)(ids), None
    x = keras.Input((shape.time, shape.units))
    if not shape.bidirectional:
        return x, x, None
    lengths = keras.Input((), dtype="int32")
    return (x, lengths), x, lengths


def _outputs(x: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    return keras.layers.Dense(shape.vocabulary)(x) if shape.vocabulary else x


def products(cell: str, mode: str, shape: Shape) -> Step:
    """Builds a function that computes only the matrix products of the recurrent layers and of the softmax.

    The time of this function is approximately a lower bound for the time of a step.

    Outside the loop over time, each product is one large product for all T time steps. Inside the loop, each
    layer computes T small products ``h_t U`` in the forward pass, and T small products ``dz_t U^T`` in the
    backward pass. ``h_t`` is the state at step t, and ``U`` is the recurrent kernel. ``dz_t`` is the gradient
    of the values before the activations. The function transposes ``U`` only once, before the loop of the
    backward pass. Our kernels do the same.
    """
    n, time, units = shape.batch, shape.time, shape.units
    columns = {"lstm": 4, "gru": 3}[cell] * units
    stacked = shape.layers * (2 if shape.bidirectional else 1)

    def normal(*size: int) -> tf.Tensor:
        return tf.random.normal(size, stddev=0.01)

    # Every layer has its own random matrices. If two layers had the same matrices, XLA could compute a
    # product only once and use its result for both layers.
    layers = [
        {
            "x": normal(time, n, units),
            "h": normal(time, n, units),
            "dz": normal(time, n, columns),
            "kernel": normal(units, columns),
            "recurrent_kernel": normal(units, columns),
        }
        for _ in range(stacked)
    ]
    softmax = {}
    if shape.vocabulary:
        softmax = {"kernel": normal(units, shape.vocabulary), "d_logits": normal(time, n, shape.vocabulary)}

    def rows_times(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, (-1, x.shape[-1])) @ kernel

    def walk_forward(h: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        def body(t: tf.Tensor, z: tf.Tensor) -> tuple:
            return t + 1, z[:, :units] @ kernel

        return tf.while_loop(lambda t, _: t < time, body, (0, h @ kernel), maximum_iterations=time)[1]

    def walk_back(dz: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        transposed = tf.transpose(kernel)

        def body(t: tf.Tensor, _: tf.Tensor) -> tuple:
            return t + 1, dz[t] @ transposed

        first = tf.zeros((n, units))
        return tf.while_loop(lambda t, _: t < time, body, (0, first), maximum_iterations=time)[1]

    def step(layers: list, softmax: dict) -> list:
        results = []
        for index, layer in enumerate(layers):
            x, h, dz, kernel, recurrent_kernel = layer.values()
            results += [rows_times(x, kernel), walk_forward(h[0], recurrent_kernel)]
            if mode == "training":
                results.append(walk_back(dz, recurrent_kernel))
                results += [tf.tensordot(each, dz, ((0, 1), (0, 1))) for each in (x, h)]
                # Layer 1 needs the gradient of its inputs only if the model has an embedding.
                if shape.vocabulary or index >= stacked // shape.layers:
                    results.append(rows_times(dz, tf.transpose(kernel)))
        if shape.vocabulary:
            results.append(rows_times(h, softmax["kernel"]))
            if mode == "training":
                results.append(tf.tensordot(h, softmax["d_logits"], ((0, 1), (0, 1))))
                results.append(rows_times(softmax["d_logits"], tf.transpose(softmax["kernel"])))
        return results

    function = tf.function(step, jit_compile=True, autograph=False)

    def run() -> None:
        function(layers, softmax)[-1].numpy()

    return run


if __name__ == "__main__":
    serve(sys.argv[1], build)
