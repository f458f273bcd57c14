"""What ``convert`` needs of an app, and the files beside a ``.tflite``: vocabulary, golden.json, README."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.run import write_text
from seqmodels.export.tflite import Entry


@dataclass(frozen=True)
class Bundle:
    """The files beside a ``.tflite``.

    Attributes:
        readme: the integration README.
        golden: inputs with the outputs that a port must give, for golden.json.
        lines: lists of one entry a line by the name of their file, such as ``vocab.txt``.
        copies: files that are copied as they are.
        indent: of golden.json.
    """

    readme: str
    golden: Mapping[str, Any]
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    copies: Sequence[Path] = ()
    indent: int | None = 1

    def write(self, folder: Path) -> None:
        for name, entries in self.lines.items():
            write_text(folder / name, "".join(f"{entry}\n" for entry in entries))
        golden = json.dumps(self.golden, ensure_ascii=False, indent=self.indent)
        write_text(folder / "golden.json", golden + "\n")
        write_text(folder / "README.md", self.readme)
        for path in self.copies:
            write_text(folder / path.name, path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Phone:
    """What ``convert`` needs of an app.

    Attributes:
        entries: the signatures of a file, with rows of the validation split to try them on and rows of the
            training split for int8.
        form: how the loops over time are built, see ``tflite.choose_form``.
        shape: what all files of a run share (``length``), JSON-ready; a conversion to another shape removes
            the files of the one before.
        note: a line about the shape, for a person.
        metric: name of the score.
        number: how it is written, as a format: ``.2%``.
        score: the file and its outputs, by signature, to the score on the validation split.
        references: the score of the model itself, by name.
        bundle: the report to the files beside the ``.tflite``.
        mediapipe: whether MediaPipe can read a file with so many subgraphs; None where it has no reader.
        finish: the file and the number of its subgraphs to the file with its metadata.
    """

    entries: Sequence[Entry]
    form: str
    shape: dict[str, Any]
    note: str
    metric: str
    number: str
    score: Callable[[Path, dict[str, dict[str, np.ndarray]]], float]
    references: dict[str, float]
    bundle: Callable[[dict[str, Any]], Bundle]
    mediapipe: Callable[[int], bool] | None = None
    finish: Callable[[bytes, int], bytes] = lambda content, subgraphs: content
