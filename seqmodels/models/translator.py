"""An encoder-decoder model that maps token sequences to token sequences."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels import kernels, registry
from seqmodels.kernels import States
from seqmodels.kernels.masks import dropout_mask, uniform
from seqmodels.layers import (
    AttentionDecoderCell,
    Dropout,
    Encoder,
    LockedDropout,
    Recurrent,
    TiedOutput,
    WordDropout,
)
from seqmodels.layers.attention import Prepared
from seqmodels.models.config import keeps_arguments
from seqmodels.registry import TIES


class Encoding(NamedTuple):
    """The encoded source, which is the input of the first :meth:`Translator.step`.

    Attributes:
        memory: keys, values and mask that the attention computes from the outputs of the encoder. None if
            the model has no attention.
        states: initial states of the decoder, each ``(n, decoder_units)``. With ``feeding="output"``, there
            is one more state, ``(n, embedding_units)``.
    """

    memory: Prepared | None
    states: States


@keras.saving.register_keras_serializable(package="seqmodels")
class Translator(keras.Model):
    """An encoder-decoder model with attention.

    ``translator({"source": (n, S), "source_lengths": (n,), "target": (n, T), "target_lengths": (n,)})`` takes
    int32 tensors. It returns the logits of the token that follows each token of ``target`` (teacher forcing).
    The logits have the shape ``(n, T, target vocabulary)`` and are float32 or wider. n is the number of rows.
    S and T are the padded lengths of the sources and of the targets. For decoding, :meth:`encode` and
    :meth:`step` run the same model token by token.

    A bridge computes the initial states of the decoder from the final states of the encoder (Bahdanau et al.
    2015, appendix A.2.2). Each initial state is ``tanh(s W + b)``, where ``s`` is a final state. For the
    initial state h of decoder layer 2, for example, ``s`` is the final state h of encoder layer 2. If the
    encoder is bidirectional, ``s`` concatenates the final states of both directions.

    Args:
        source_vocabulary, target_vocabulary: number of token ids of each language.
        embedding_units: size of the embedding vectors and of the decoder's output.
        cell: a name in ``registry.CELLS``. The encoder and the decoder use the same kind of cell.
        units: size of each state of the encoder.
        decoder_units: size of each state of the decoder.
        layers: number of stacked recurrent layers in the encoder and in the decoder.
        bidirectional: if True, every layer of the encoder runs in both directions.
        attention: a name in ``registry.ATTENTIONS``. ``none`` disables attention. The decoder then receives
            only the states of the encoder (Sutskever et al. 2014).
        feeding, deep_output, normalize: see :class:`seqmodels.layers.AttentionDecoderCell`. ``normalize``
            also normalizes the outputs of the encoder.
        tie: selects the matrix of the output layer. With ``none``, the output layer has its own matrix. With
            ``target``, the output layer uses the target embedding (Press and Wolf 2017). With ``all``, the
            source embedding, the target embedding and the output layer use the same matrix.
        word_dropout: probability of replacing a token by the unknown token.
        dropout: probability of dropping a feature. This dropout applies to the embeddings, between layers,
            and before the output layer. It also applies to the encoder outputs that the attention reads.
        recurrent_dropout: probability of dropping a feature of the previous state.
        weight_dropout: probability of dropping an entry of the recurrent matrices.
        scheduled_sampling: probability of replacing an input token of the decoder in training. The new token
            is sampled from the model's own output (Bengio et al. 2015, section 2.4). If the probability is
            above 0, training runs the decoder step by step.
        sampling_steps: number of training steps in which this probability rises linearly from 0 to
            ``scheduled_sampling``.

    ``keras.utils.set_random_seed`` determines the initial weights, the dropout masks and the sampled tokens.

    Raises:
        ValueError: an unknown name, a rate outside ``[0, 1)``, or ``tie="all"`` with vocabularies of
            different sizes.

    >>> model = Translator(20, 30, embedding_units=8, units=8, decoder_units=8)
    >>> source, target = tf.constant([[4, 5, 6]]), tf.constant([[1, 7]])
    >>> inputs = {"source": source, "source_lengths": tf.constant([3]), "target": target}
    >>> model({**inputs, "target_lengths": tf.constant([2])}).shape
    TensorShape([1, 2, 30])
    """

    @keeps_arguments
    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding_units: int = 64,
        cell: str = "lstm",
        units: int = 64,
        decoder_units: int = 128,
        layers: int = 1,
        bidirectional: bool = True,
        attention: str = "general",
        feeding: str = "none",
        deep_output: bool = False,
        normalize: bool = False,
        tie: str = "target",
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        scheduled_sampling: float = 0.0,
        sampling_steps: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if tie not in TIES:
            raise ValueError(f"tie must be one of {', '.join(TIES)}; got {tie!r}")
        if tie == "all" and source_vocabulary != target_vocabulary:
            raise ValueError(
                "tie 'all' needs one vocabulary for source and target; got vocabularies of "
                f"{source_vocabulary} and {target_vocabulary} tokens; use one vocabulary, or use tie 'target'"
            )
        if not 0.0 <= scheduled_sampling <= 1.0:
            raise ValueError(f"scheduled_sampling must be in [0, 1]; got {scheduled_sampling}")
        dtype = self.dtype_policy
        self.embedding_units = embedding_units
        self.word_dropout = WordDropout(word_dropout, name="word_dropout")
        self.embedding = self._embedding(target_vocabulary, "embedding")
        self.source_embedding = (
            self.embedding if tie == "all" else self._embedding(source_vocabulary, "source_embedding")
        )

        def cells(units: int, side: str) -> list:
            dropouts = {"weight_dropout": weight_dropout, "recurrent_dropout": recurrent_dropout}
            return [
                registry.make(registry.CELLS, cell, units=units, dtype=dtype, name=f"{side}_{i}", **dropouts)
                for i in range(layers)
            ]

        self.encoder = Encoder(
            cells(units, "encoder_cell"), bidirectional, dropout=dropout, dtype=dtype, name="encoder"
        )
        self.memory_norm = (
            keras.layers.LayerNormalization(dtype=dtype, name="memory_norm") if normalize else None
        )
        self.memory_dropout = LockedDropout(dropout, dtype=dtype)
        stack = cells(decoder_units, "decoder_cell")
        self.bridges = [
            keras.layers.Dense(decoder_units, activation="tanh", dtype=dtype, name=f"bridge_{layer}_{state}")
            for layer in range(layers)
            for state in range(len(stack[layer].state_size))
        ]
        self.cell = AttentionDecoderCell(
            stack,
            None
            if attention == "none"
            else registry.make(registry.ATTENTIONS, attention, dtype=dtype, name="attention"),
            memory_units=self.encoder.output_size,
            units=embedding_units,
            feeding=feeding,
            deep_output=deep_output,
            normalize=normalize,
            dropout=dropout,
            dtype=dtype,
            name="decoder_cell",
        )
        self.decoder = Recurrent(self.cell, dropout=dropout, dtype=dtype, name="decoder")
        self.output_dropout = Dropout(dropout, dtype=dtype)
        # Under mixed precision, logits stay in float32: a float16 softmax loses small probabilities.
        logits = keras.backend.result_type(self.compute_dtype, "float32")
        self.head = (
            keras.layers.Dense(target_vocabulary, dtype=logits, name="head")
            if tie == "none"
            else TiedOutput(target_vocabulary, embedding_units, dtype=logits, name="head")
        )
        self.seed_generator = keras.random.SeedGenerator() if scheduled_sampling else None

    def _embedding(self, vocabulary: int, name: str) -> keras.layers.Embedding:
        # The output layer may use the matrix of the embedding. In this case, this standard deviation gives
        # the logits the same scale as the decoder's output.
        initializer = keras.initializers.RandomNormal(stddev=self.embedding_units**-0.5)
        return keras.layers.Embedding(
            vocabulary, self.embedding_units, initializer, dtype=self.dtype_policy, name=name
        )

    def build(self, input_shape: Any = None) -> None:
        width = self.embedding_units
        self.embedding.build((None, None))
        if not self.source_embedding.built:
            self.source_embedding.build((None, None))
        self.encoder.build((None, None, width))
        if self.memory_norm is not None:
            self.memory_norm.build((None, None, self.encoder.output_size))
        sizes = [
            len(directions) * size
            for directions in self.encoder.directions
            for size in directions[0].cell.state_size
        ]
        for bridge, size in zip(self.bridges, sizes):
            bridge.build((None, size))
        self.decoder.build((None, None, width))
        if isinstance(self.head, TiedOutput):
            self.head.build((None, None, width), tuple(self.embedding.embeddings.shape))
        else:
            self.head.build((None, None, width))
        if self.config["scheduled_sampling"]:
            self.steps = self.add_weight(name="steps", shape=(), dtype="int32", trainable=False)
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        memory, states = self._encoded(inputs["source"], inputs["source_lengths"], training)
        embedded = self.embedding(self.word_dropout(inputs["target"], training=training))
        lengths = inputs["target_lengths"]
        if training and self.config["scheduled_sampling"]:
            self.steps.assign_add(1)
            rise = tf.minimum(tf.cast(self.steps.value, tf.float32) / self.config["sampling_steps"], 1.0)
            share = self.config["scheduled_sampling"] * rise
            outputs = self._own_tokens(embedded, lengths, memory, states, share, training)
        else:
            outputs, _ = self.decoder(
                embedded, lengths=lengths, states=states, memory=memory, training=training
            )
        return self._logits(self.output_dropout(outputs, training=training))

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> Encoding:
        """Encodes source tokens ``(n, S)`` with ``lengths (n,)``. :meth:`step` needs the result."""
        memory, states = self._encoded(source, lengths, False)
        attention = self.cell.attention
        return Encoding(None if attention is None else attention.prepare(*memory), states)

    def step(
        self, tokens: tf.Tensor, states: States, memory: Prepared | None
    ) -> tuple[tf.Tensor, States, tf.Tensor | None]:
        """Runs the decoder for one step.

        Args:
            tokens: last token of each row, ``(n,)``.
            states: states before the step. For the first step, pass the attribute ``states`` of
                :class:`Encoding`.
            memory: attribute ``memory`` of :class:`Encoding`. It is the same for every step.

        Returns:
            The logits of the next token, ``(n, vocabulary)``; the states after the step; and the attention
            weights ``(n, S)``, or None without attention.
        """
        projected = self.cell.project(self.embedding(tokens))
        output, states, weights = self.cell.attended_step(
            projected, states, self.cell.constants(memory=memory)
        )
        return self._logits(output[:, None])[:, 0], states, weights

    def alignments(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the attention weights under teacher forcing, ``(n, T, S)``.

        At padded steps of the target, the weights are 0.

        Raises:
            ValueError: the model has no attention.
        """
        if self.cell.attention is None:
            raise ValueError(
                "alignments need a model with attention; got attention='none'; create the model with another "
                "attention, for example 'general'"
            )
        memory, states = self._encoded(inputs["source"], inputs["source_lengths"], False)
        constants = self.cell.constants(memory=memory)

        def step(projected: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
            _, states, weights = self.cell.attended_step(projected, states, constants)
            return weights, states

        projected = self.cell.project(self.embedding(inputs["target"]))
        width = inputs["source"].shape[1]
        return kernels.generic(step, projected, states, inputs["target_lengths"], width)[0]

    def free_running(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Computes the logits without teacher forcing, from the same inputs as a call of the model.

        The first input of the decoder is the first token of ``target``. Each further input is the most
        probable token of the previous step. Compare the result with the logits of a call of the model, which
        uses teacher forcing. The difference shows how much the model's own wrong tokens change its later
        predictions.
        """
        memory, states = self._encoded(inputs["source"], inputs["source_lengths"], False)
        embedded = self.embedding(inputs["target"])
        return self._logits(
            self._own_tokens(embedded, inputs["target_lengths"], memory, states, tf.constant(1.0), False)
        )

    def _encoded(self, source: tf.Tensor, lengths: tf.Tensor, training: bool) -> tuple[tuple, States]:
        """Returns the outputs of the encoder with their lengths, and the initial states of the decoder."""
        embedded = self.source_embedding(self.word_dropout(source, training=training))
        encoded = self.encoder(embedded, lengths=lengths, training=training)
        outputs = encoded.outputs if self.memory_norm is None else self.memory_norm(encoded.outputs)
        last = [
            tf.concat(same, axis=-1)  # (batch, size of all directions)
            for directions in encoded.states
            for same in zip(*directions)
        ]
        states = tuple(bridge(state) for bridge, state in zip(self.bridges, last))
        if self.cell.feeding == "output":
            states = (*states, tf.zeros((tf.shape(source)[0], self.cell.units), outputs.dtype))
        return (self.memory_dropout(outputs, training=training), lengths), states

    def _logits(self, outputs: tf.Tensor) -> tf.Tensor:
        if isinstance(self.head, TiedOutput):
            return self.head(outputs, self.embedding.embeddings)
        return self.head(outputs)

    def _own_tokens(
        self,
        embedded: tf.Tensor,
        lengths: tf.Tensor,
        memory: tuple,
        states: States,
        share: tf.Tensor,
        training: bool,
    ) -> tf.Tensor:
        """Runs the decoder. Some target tokens are replaced by tokens that the decoder generates.

        The first input of a row is the first target token. Each further input is either the target token or
        a generated token. ``share`` is the probability of a generated token. This token is computed from the
        previous output of the decoder. In training, it is sampled. Otherwise, it is the most probable token.
        The method returns the outputs of the decoder, ``(n, T, embedding_units)``.
        """
        batch, time, width = (
            static or dynamic for static, dynamic in zip(embedded.shape, tf.unstack(tf.shape(embedded)))
        )
        dtype = embedded.dtype
        constants = self.cell.constants(batch, memory, training)
        kept = tf.ones((batch, width), dtype)
        if training and self.decoder.dropout:
            kept = dropout_mask((batch, width), self.decoder.dropout, self.seed_generator, dtype.name)
        generator = self.seed_generator if training else None
        draw = uniform((batch, time), generator.next()) if generator is not None else 0.0
        own = (tf.zeros((batch, time)) + draw < share) & (tf.range(time) > 0)
        # ``step`` needs two numbers, but its only arguments are x and the states. The numbers are therefore
        # added to x as two features. The first number is 1 if the input token is generated, else 0. The
        # second number is the index of the time step. The seed of the sampling depends on this index.
        numbers = tf.broadcast_to(tf.cast(tf.range(time), dtype), (batch, time))
        x = tf.concat([embedded, tf.cast(own, dtype)[..., None], numbers[..., None]], axis=-1)
        seed = tf.cast(generator.next(), tf.int32) if generator is not None else None

        def step(x: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
            gold, own, number = tf.split(x, [width, 1, 1], axis=-1)
            *inner, previous = states
            logits = self._logits(previous[:, None])[:, 0]  # (batch, vocabulary)
            if seed is not None:  # the argmax with Gumbel noise is a sample from the softmax
                here = tf.cast(number[0, 0], tf.int32)
                drawn = uniform(tf.shape(logits), seed + tf.stack([0, here]))
                logits -= tf.cast(tf.math.log(-tf.math.log(drawn)), logits.dtype)
            token = tf.stop_gradient(tf.argmax(logits, axis=-1, output_type=tf.int32))
            chosen = tf.where(own > 0, self.embedding(token), gold)
            output, after = self.cell.step(self.cell.project(chosen * kept), tuple(inner), constants)
            return output, (*after, output)

        first = tf.zeros((batch, self.cell.units), dtype)
        return kernels.generic(step, x, (*states, first), lengths, self.cell.units)[0]

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
