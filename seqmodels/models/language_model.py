"""Language models: a recurrent model and a model with a fixed window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels import registry
from seqmodels.layers import AdaptiveSoftmax, EmbeddingDropout, Encoder, LockedDropout, TiedOutput
from seqmodels.layers.padding import real_steps
from seqmodels.layers.softmax import sampled_softmax_losses
from seqmodels.models.config import keeps_arguments

END = 3  # id of the end token; it ends each line, and it is the input for the first token of a text


class Features(NamedTuple):
    """The inputs of the output layer, and the states after the last step.

    The shape ``(n, T, d)`` stands for n rows, T time steps and d features.

    Attributes:
        outputs: features after dropout, ``(n, T, d)``. The output layer computes the logits from them.
        raw: the same features before dropout, ``(n, T, d)``.
        states: states after the last step. Pass them to the next call to continue the text.
    """

    outputs: tf.Tensor
    raw: tf.Tensor
    states: Any


class Predicted(NamedTuple):
    """The outputs of a language model.

    Attributes:
        logits: logits of the token that follows each step, float32 or wider. The shape ``(n, T, v)`` stands
            for n rows, T time steps and v token ids.
        states: states after the last step. Pass them to the next call to continue the text. Floating-point
            states are float32 or wider.
    """

    logits: tf.Tensor
    states: Any


class NextToken(keras.Model):
    """Base class of language models, with an embedding and an output layer.

    ``model({"tokens": (n, T) int32, "states": ..., "lengths": (n,) int32})`` returns :class:`Predicted`. n is
    the number of rows, and T is the number of time steps. Without ``states``, a new text starts. Without
    ``lengths``, no row has padding. At padded steps, the logits have no meaning. The token ids in the padding
    do not change any logits.

    A long text can be processed in several calls. Each call returns states. Pass these states to the next
    call, with the next tokens of the text. The logits are then the same as in one call with the whole text.

    Args:
        vocabulary: number of token ids, v.
        embedding_units: size of the embedding vectors.
        tied: if True, the output layer uses the matrix of the embedding. If the input size of the output
            layer differs from ``embedding_units``, a projection is added.
        cutoffs: first token id of each cluster of rare tokens in an adaptive softmax
            (:class:`AdaptiveSoftmax`). Without cutoffs, the model uses the full softmax. The adaptive softmax
            has its own matrices, so ``tied`` must be False.
        samples: number of tokens in the sampled softmax (:func:`sampled_softmax_losses`). In training,
            :meth:`losses_of` uses the sampled softmax. If ``samples`` is 0, it uses the softmax over the
            whole vocabulary. Keras' ``fit`` does not use the sampled softmax, because it calls the model, and
            a call computes the logits of the whole vocabulary.
        embedding_dropout: probability of dropping a token id. If a token id is dropped, the embeddings of all
            its occurrences in the batch are zero.
        output_dropout: probability of dropping an input feature of the output layer, with one mask for all
            steps.

    Raises:
        ValueError: a rate is outside ``[0, 1)``; a cutoff is outside the vocabulary; cutoffs are used with
            tied weights or with ``samples``; or ``samples`` is neither 0 nor a number from 4 to v.
    """

    @keeps_arguments
    def __init__(
        self,
        vocabulary: int,
        embedding_units: int,
        tied: bool,
        cutoffs: Sequence[int],
        samples: int,
        embedding_dropout: float,
        output_dropout: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if tied and cutoffs:
            raise ValueError(
                "cutoffs cannot be used with tied weights, because each cluster of tokens has its own output "
                "matrix; set tied=False"
            )
        if samples and (cutoffs or not 4 <= samples <= vocabulary):
            raise ValueError(
                f"samples must be 0 or from 4 to {vocabulary}, and must be 0 if cutoffs are used; got "
                f"samples {samples} and cutoffs {list(cutoffs)}"
            )
        dtype = self.dtype_policy
        self.embedding_units = embedding_units
        self.embedding = keras.layers.Embedding(
            vocabulary,
            embedding_units,
            keras.initializers.RandomUniform(-0.1, 0.1),
            dtype=dtype,
            name="embedding",
        )
        self.embedding_dropout = EmbeddingDropout(
            vocabulary, embedding_dropout, dtype=dtype, name="embedding_dropout"
        )
        self.output_dropout = LockedDropout(output_dropout, dtype=dtype, name="output_dropout")
        self.samples = samples
        self.seed_generator = keras.random.SeedGenerator() if samples else None
        self.head: keras.layers.Layer
        # Under mixed precision, logits stay in float32: a float16 softmax loses small probabilities.
        wide = keras.backend.result_type(self.compute_dtype, "float32")
        if tied:
            self.head = TiedOutput(vocabulary, embedding_units, dtype=wide, name="head")
        elif cutoffs:
            self.head = AdaptiveSoftmax(vocabulary, cutoffs, dtype=wide, name="head")
        else:
            self.head = keras.layers.Dense(vocabulary, dtype=wide, name="head")

    def get_initial_state(self, rows: Any) -> Any:
        """Returns the states at the start of a text for ``rows`` rows."""
        raise NotImplementedError(f"{type(self).__name__} must define the method get_initial_state")

    def features(self, inputs: dict[str, Any], training: bool = False) -> Features:
        """Computes the inputs of the output layer. Takes the same arguments as a call of the model."""
        raise NotImplementedError(f"{type(self).__name__} must define the method features")

    def embed(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        """Embeds tokens: ``(n, T)`` to ``(n, T, embedding_units)``."""
        return self.embedding_dropout(self.embedding(tokens), tokens, training=training)

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Computes the logits of the next token: ``(n, T, d)`` to ``(n, T, v)``."""
        if isinstance(self.head, TiedOutput):
            return self.head(outputs, tf.convert_to_tensor(self.embedding.embeddings))
        return self.head(outputs)

    def losses_of(self, outputs: tf.Tensor, targets: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the negative log-likelihood of each target. The unit is nats.

        ``targets`` and the result have the shape ``(n, T)``. If ``training`` is True and ``samples`` is above
        0, the sampled softmax estimates the likelihood.
        """
        if training and self.seed_generator is not None:
            return self._sampled(outputs, targets, self.seed_generator.next())
        if isinstance(self.head, AdaptiveSoftmax):
            return self.head.losses_of(tf.cast(outputs, self.head.compute_dtype), targets)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(outputs))

    def _sampled(self, outputs: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        outputs = tf.cast(outputs, self.head.compute_dtype)
        if isinstance(self.head, TiedOutput):
            outputs, table = self.head.project(outputs), tf.convert_to_tensor(self.embedding.embeddings)
        else:
            table = tf.transpose(tf.convert_to_tensor(self.head.kernel))
        table, bias = tf.cast(table, outputs.dtype), tf.convert_to_tensor(self.head.bias)
        return sampled_softmax_losses(outputs, table, bias, targets, self.samples, seed)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Predicted:
        features = self.features(inputs, training=training)
        return Predicted(self.logits(features.outputs), features.states)

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="seqmodels")
class LanguageModel(NextToken):
    """A recurrent language model with an embedding, stacked cells of any kind and an output layer.

    If all dropouts are used and the weights are averaged, the model is the AWD-LSTM (Merity et al. 2018,
    arXiv 1708.02182). Suppose that plain gradient descent trains the model, and that only ``input_dropout``,
    ``layer_dropout`` and ``output_dropout`` are used. The model is then almost the model of Zaremba et al.
    2014 (arXiv 1409.2329). In that paper, the dropout masks differ between time steps. Here, each dropout
    mask is the same at all time steps. The states of the model are the states of its :class:`Encoder`.

    Args:
        vocabulary: number of token ids, v.
        embedding_units: size of the embedding vectors.
        cell: a name in ``registry.CELLS``.
        units: size of each recurrent state.
        layers: number of stacked recurrent layers.
        residual: if True, the input of a recurrent layer is added to its output.
        tied: see :class:`NextToken`.
        cutoffs: see :class:`NextToken`.
        samples: see :class:`NextToken`.
        embedding_dropout: see :class:`NextToken`.
        input_dropout: probability of dropping a feature of the embedded tokens.
        layer_dropout: probability of dropping a feature between recurrent layers.
        output_dropout: see :class:`NextToken`.
        recurrent_dropout: probability of dropping a feature of the previous state.
        weight_dropout: probability of dropping an entry of the recurrent matrices.

    Each call of the model samples every dropout mask once. ``keras.utils.set_random_seed`` determines the
    initial weights and the dropout masks.

    Raises:
        ValueError: an unknown cell, or an error of :class:`NextToken`.

    >>> model = LanguageModel(vocabulary=20, embedding_units=8, units=8)
    >>> predicted = model({"tokens": tf.constant([[4, 5, 6]])})
    >>> predicted.logits.shape
    TensorShape([1, 3, 20])
    >>> model({"tokens": tf.constant([[7]]), "states": predicted.states}).logits.shape
    TensorShape([1, 1, 20])
    """

    @keeps_arguments
    def __init__(
        self,
        vocabulary: int,
        embedding_units: int = 200,
        cell: str = "lstm",
        units: int = 200,
        layers: int = 2,
        residual: bool = False,
        tied: bool = True,
        cutoffs: Sequence[int] = (),
        samples: int = 0,
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        output_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(
            vocabulary, embedding_units, tied, cutoffs, samples, embedding_dropout, output_dropout, **kwargs
        )
        dtype = self.dtype_policy
        dropouts = {"weight_dropout": weight_dropout, "recurrent_dropout": recurrent_dropout}
        cells = [
            registry.make(registry.CELLS, cell, units=units, dtype=dtype, name=f"cell_{index}", **dropouts)
            for index in range(layers)
        ]
        rates = [input_dropout, *[layer_dropout] * (layers - 1)]
        self.encoder = Encoder(cells, residual=residual, dropout=rates, dtype=dtype, name="encoder")

    def build(self, input_shape: Any = None) -> None:
        self.embedding.build((None, None))
        self.encoder.build((None, None, self.embedding_units))
        self.head.build((None, None, self.encoder.output_size))
        self.built = True

    def get_initial_state(self, rows: Any) -> Any:
        return self._wide(self.encoder.get_initial_state(rows))

    def features(self, inputs: dict[str, Any], training: bool = False) -> Features:
        encoded = self.encoder(
            self.embed(inputs["tokens"], training),
            lengths=inputs.get("lengths"),
            states=inputs.get("states"),
            training=training,
        )
        outputs = self.output_dropout(encoded.outputs, training=training)
        return Features(outputs, encoded.outputs, self._wide(encoded.states))

    def _wide(self, states: Any) -> Any:
        """Casts states to the dtype of the logits. Under mixed precision, this dtype is float32."""
        return tf.nest.map_structure(lambda state: tf.cast(state, self.head.compute_dtype), states)


@keras.saving.register_keras_serializable(package="seqmodels")
class FixedWindowModel(NextToken):
    """Predicts the next token from a fixed window of the last tokens (Bengio et al. 2003, section 2).

    At step t, the input of the output layer is ``tanh([C(x_{t-w+1}), .., C(x_t)] H + b)``. Here, w is the
    number of tokens in the window, ``x_t`` is the token at step t, and C is the embedding. H and b are the
    kernel and the bias of the hidden layer.

    The state contains the last ``w - 1`` tokens, ``(n, w - 1)`` int32. With this state, the model can be
    trained and used like a recurrent model.

    Args:
        vocabulary: number of token ids, v.
        window: number of tokens in the window, w. The model corresponds to an n-gram model of order
            ``w + 1``.
        embedding_units: size of the embedding vectors.
        units: size of the hidden layer.
        tied: see :class:`NextToken`.
        cutoffs: see :class:`NextToken`.
        samples: see :class:`NextToken`.
        embedding_dropout: see :class:`NextToken`.
        input_dropout: probability of dropping a feature of the embedded tokens, with one mask for all steps.
        output_dropout: see :class:`NextToken`.

    Raises:
        ValueError: a window below 1, or an error of :class:`NextToken`.

    >>> model = FixedWindowModel(vocabulary=20, window=3, embedding_units=8, units=8)
    >>> predicted = model({"tokens": tf.constant([[4, 5, 6]])})
    >>> predicted.logits.shape, predicted.states[0].numpy()
    (TensorShape([1, 3, 20]), array([[5, 6]], dtype=int32))
    """

    @keeps_arguments
    def __init__(
        self,
        vocabulary: int,
        window: int = 5,
        embedding_units: int = 200,
        units: int = 200,
        tied: bool = True,
        cutoffs: Sequence[int] = (),
        samples: int = 0,
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        **kwargs: Any,
    ):
        if window < 1:
            raise ValueError(f"window must be at least 1 token; got {window}")
        super().__init__(
            vocabulary, embedding_units, tied, cutoffs, samples, embedding_dropout, output_dropout, **kwargs
        )
        dtype = self.dtype_policy
        self.window = window
        self.input_dropout = LockedDropout(input_dropout, dtype=dtype, name="input_dropout")
        self.hidden = keras.layers.Dense(units, "tanh", dtype=dtype, name="hidden")

    def build(self, input_shape: Any = None) -> None:
        self.embedding.build((None, None))
        self.hidden.build((None, None, self.window * self.embedding_units))
        self.head.build((None, None, self.hidden.units))
        self.built = True

    def get_initial_state(self, rows: Any) -> Any:
        return (tf.fill((rows, self.window - 1), END),)

    def features(self, inputs: dict[str, Any], training: bool = False) -> Features:
        tokens, lengths = inputs["tokens"], inputs.get("lengths")
        rows, time = tokens.shape[0] or tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        if lengths is not None:
            tokens = tf.where(real_steps(tokens, lengths), tokens, END)
        states = inputs.get("states")
        (before,) = self.get_initial_state(rows) if states is None else states
        tokens = tf.concat([tf.cast(before, tokens.dtype), tokens], axis=1)  # (batch, window - 1 + time)
        embedded = self.input_dropout(self.embed(tokens, training), training=training)
        windows = tf.concat([embedded[:, k : k + time] for k in range(self.window)], axis=-1)
        raw = self.hidden(windows)  # (batch, time, units)
        ends = tf.fill((rows,), time) if lengths is None else lengths
        last = tf.gather(tokens, ends[:, None] + tf.range(self.window - 1), batch_dims=1)
        return Features(self.output_dropout(raw, training=training), raw, (last,))
