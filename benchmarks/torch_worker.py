"""The PyTorch implementation in `benchmarks.layers`: `nn.LSTM` and `nn.GRU` on the CPU.

The code uses only the public layers of PyTorch, as a user of PyTorch would.
"""

from __future__ import annotations

import os
import sys

import torch
from torch import nn

from benchmarks.shapes import Shape
from benchmarks.worker import Step, serve


class Model(nn.Module):
    """A stack of recurrent layers. With a vocabulary, the model also has an embedding and a softmax layer."""

    def __init__(self, cell: str, shape: Shape):
        super().__init__()
        stack = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.embedding = nn.Embedding(shape.vocabulary, shape.units) if shape.vocabulary else None
        self.stack = stack(
            shape.units,
            shape.units,
            num_layers=shape.layers,
            batch_first=True,
            bidirectional=shape.bidirectional,
        )
        self.softmax = nn.Linear(shape.units, shape.vocabulary) if shape.vocabulary else None
        self.lengths = torch.tensor(shape.lengths) if shape.bidirectional else None
        self.time = shape.time

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.embedding is not None:
            x = self.embedding(x)
        if self.lengths is None:
            x, _ = self.stack(x)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, self.lengths, batch_first=True)
            x, _ = self.stack(packed)
            x, _ = nn.utils.rnn.pad_packed_sequence(x, batch_first=True, total_length=self.time)
        return x if self.softmax is None else self.softmax(x)


def build(side: str, cell: str, mode: str, shape: Shape) -> Step:
    """Builds a function that runs one training step of plain gradient descent, or one forward pass."""
    torch.manual_seed(0)
    model = Model(cell, shape)
    if shape.vocabulary:
        x = torch.randint(shape.vocabulary, (shape.batch, shape.time))
        target = torch.randint(shape.vocabulary, (shape.batch * shape.time,))
    else:
        width = shape.units * (2 if shape.bidirectional else 1)
        x = torch.randn(shape.batch, shape.time, shape.units)
        target = torch.randn(shape.batch, shape.time, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train() -> None:
        optimizer.zero_grad()
        outputs = model(x)
        if shape.vocabulary:
            loss = nn.functional.cross_entropy(outputs.flatten(0, 1), target)
        else:
            loss = nn.functional.mse_loss(outputs, target)
        loss.backward()
        optimizer.step()
        loss.item()

    def infer() -> None:
        with torch.inference_mode():
            model(x)

    return train if mode == "training" else infer


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    serve(sys.argv[1], build)
