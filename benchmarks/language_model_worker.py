"""Runs our training step or PyTorch's training step for `python -m benchmarks.language_modeling`.

Both steps train the same model, the preset `default` of the language modeling app. It has an embedding,
stacked LSTM layers, and an output layer that shares the weights of the embedding. Dropout is applied before,
between and after the LSTM layers. A step clips the gradient by its global norm and applies gradient descent.
The initial state of a training step is the final state of the previous training step.

Our implementation runs the training step of the app. The PyTorch implementation uses only the public layers
of PyTorch, as a user of PyTorch would. A process imports either TensorFlow or PyTorch.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from apps.language_modeling.defaults import FEW_TOKENS, choose
from apps.language_modeling.options import Train
from benchmarks.shapes import Shape
from benchmarks.worker import Step, serve


def build(side: str, cell: str, mode: str, shape: Shape) -> Step:
    """Builds a training step with the default options and the sizes in ``shape``.

    The only allowed value of ``mode`` is "training", because this benchmark does not measure inference.
    """
    options = replace(
        Train(),
        cell=cell,
        batch_size=shape.batch,
        steps=shape.time,
        layers=shape.layers,
        units=shape.units,
        embedding_units=shape.units,
    )
    options, _ = choose(options, tokens=FEW_TOKENS)
    assert mode == "training"
    assert shape.vocabulary is not None
    return {"ours": ours, "PyTorch": pytorch}[side](options, shape.vocabulary)


def ours(options: Train, vocabulary: int) -> Step:
    """Builds a training step of the app on random tokens."""
    import numpy as np

    from apps.language_modeling import task
    from apps.training import make_training
    from seqmodels.data.running import running_text
    from seqmodels.data.tokenizer import END

    ids = np.random.default_rng(0).integers(vocabulary, size=options.batch_size * options.steps)
    data = running_text(ids, END, batch_size=options.batch_size, lengths=options.lengths)
    training = make_training(
        options,
        lambda: task.build(
            options, range(vocabulary)
        ),  # a range replaces the tokenizer, because `build` uses only its length
        task.objective(options, None),
        lambda epoch: data,
        lambda: data,
        Path(),  # the folder of the checkpoints is not used, because a single step saves no checkpoint
        initial_carried=task.TASK.initial_carried,
    )
    (batch,) = data

    def step() -> None:
        facts, training.carried = training.steps.train(batch, training.carried)
        for value in facts.values():  # the training loop also reads these values after every step
            float(value)

    return step


def pytorch(options: Train, vocabulary: int) -> Step:
    """Builds the training step of :func:`ours` with PyTorch."""
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, options.embedding_units)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.input_dropout = nn.Dropout(options.input_dropout)
            self.stack = nn.LSTM(
                options.embedding_units, options.units, options.layers, dropout=options.layer_dropout
            )
            self.output_dropout = nn.Dropout(options.output_dropout)
            self.output = nn.Linear(options.units, vocabulary)
            self.output.weight = self.embedding.weight

        def forward(self, tokens: torch.Tensor, states: tuple | None) -> tuple[torch.Tensor, tuple]:
            embedded = self.input_dropout(self.embedding(tokens))  # (time, batch, units)
            outputs, states = self.stack(embedded, states)
            return self.output(self.output_dropout(outputs)), states

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(options.seed)
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=options.learning_rate)
    text = torch.randint(vocabulary, (options.steps + 1, options.batch_size))
    carried: tuple | None = None

    def step() -> None:
        nonlocal carried
        optimizer.zero_grad()
        logits, states = model(text[:-1], carried)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), options.clipnorm)
        optimizer.step()
        carried = tuple(state.detach() for state in states)
        loss.item()

    return step


if __name__ == "__main__":
    serve(sys.argv[1], build)
