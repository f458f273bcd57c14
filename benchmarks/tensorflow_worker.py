"""TensorFlow's sides of `benchmarks.layers`: Keras' layers, ours, and the matrix products alone.

Keras' layers and ours stand in the same model and are trained by Keras' own step, the one that `fit` runs.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from benchmarks.shapes import FLOOR, RECOMPUTING, Shape
from benchmarks.worker import Step, serve
from seqmodels import kernels
from seqmodels.layers import Encoder
from seqmodels.layers.linear import LinearCell
from seqmodels.registry import CELLS, make


def build(side: str, cell: str, mode: str, shape: Shape) -> Step:
    """One step of training by plain gradient descent, or one forward pass."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    if side == FLOOR:
        return products(cell, mode, shape)
    model = keras_model(cell, shape) if side.startswith("Keras") else our_model(cell, shape)
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
        target = tf.random.normal(model.output_shape)
    # Keras' training step draws from an iterator, its prediction takes the list of what was drawn.
    data = iter(tf.data.Dataset.from_tensors((x, target)).repeat()) if mode == "training" else [(x,)]
    form = "generic" if side == "generic loop" else "auto"
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    model.make_predict_function()
    function = model.train_function if mode == "training" else model.predict_function

    def step() -> None:
        with kernels.form(form), kernels.recompute() if side == RECOMPUTING else nullcontext():
            result = function(data)
        tf.nest.flatten(result)[0].numpy()

    return step


def keras_model(cell: str, shape: Shape) -> keras.Model:
    """The stack of `keras.layers`, lengths as the mask that its layers read."""
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    inputs, x = _inputs(shape)
    mask = tf.sequence_mask(shape.lengths, shape.time) if shape.bidirectional else None
    for _ in range(shape.layers):
        recurrent = layer(shape.units, return_sequences=True)
        if shape.bidirectional:
            recurrent = keras.layers.Bidirectional(recurrent)
        x = recurrent(x, mask=mask)
    return keras.Model(inputs, _outputs(x, shape))


class Stack(keras.layers.Layer):
    """Our encoder over one batch's lengths."""

    def __init__(self, cell: str, shape: Shape):
        super().__init__()
        name, *method = cell.split(" by ")
        name = "gru-reset-after" if name == "gru" else name
        cells = [make(CELLS, name, units=shape.units) for _ in range(shape.layers)]
        for each in cells if method else ():
            each.sequence = partial(_sequence, each, *method)
        self.encoder = Encoder(cells, bidirectional=shape.bidirectional)
        self.lengths = np.array(shape.lengths, np.int32) if shape.bidirectional else None

    def build(self, input_shape: tuple) -> None:
        self.encoder.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        lengths = None if self.lengths is None else tf.constant(self.lengths)
        return self.encoder(x, lengths=lengths, training=training).outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:2], self.encoder.output_size)


def _sequence(cell: LinearCell, method: str, x: tf.Tensor, states: tuple, lengths: None, _: tuple) -> tuple:
    """`LinearCell.sequence` by a method of choice."""
    outputs, last = kernels.linear_recurrence(*cell.coefficients(x), states[0], lengths, method)
    return outputs, (last,)


def our_model(cell: str, shape: Shape) -> keras.Model:
    """The same model with our layers."""
    inputs, x = _inputs(shape)
    return keras.Model(inputs, _outputs(Stack(cell, shape)(x), shape))


def _inputs(shape: Shape) -> tuple:
    if shape.vocabulary:
        inputs = keras.Input((shape.time,), shape.batch, dtype="int32")
        return inputs, keras.layers.Embedding(shape.vocabulary, shape.units)(inputs)
    inputs = keras.Input((shape.time, shape.units), shape.batch)
    return inputs, inputs


def _outputs(x: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    return keras.layers.Dense(shape.vocabulary)(x) if shape.vocabulary else x


def products(cell: str, mode: str, shape: Shape) -> Step:
    """The floor: the matrix products of the stack and of the softmax, and nothing else.

    Those that no step waits for are one product each. Of a layer's recurrence there are T small ones
    forward, ``h_t U``, and T backward, ``dz_t U^T``. They are laid out as the kernels lay them out:
    transposed copies are made once, before the product.
    """
    n, time, units = shape.batch, shape.time, shape.units
    columns = {"lstm": 4, "gru": 3}[cell] * units
    stacked = shape.layers * (2 if shape.bidirectional else 1)

    def normal(*size: int) -> tf.Tensor:
        return tf.random.normal(size, stddev=0.01)

    # Every product has numbers of its own, so that none is computed once for several.
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
                # Nobody asks for the gradient of the first inputs.
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
