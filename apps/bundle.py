"""The classes :class:`Phone` and :class:`Bundle`, with which an app controls the verb ``convert``."""

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
    """Files that ``convert`` writes next to a TFLite file. They help to use the TFLite file in a phone app.

    Attributes:
        readme: content of README.md.
        golden: content of golden.json. The file contains example inputs and the correct outputs. An
            implementation in another programming language, such as Kotlin, must return the same outputs.
        lines: entries of text files, as ``{file name: entries}``. Each file has one entry per line. An
            example is ``vocab.txt``.
        copies: paths of text files that are copied unchanged.
        indent: indentation of golden.json. With None, the whole file is one line.
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
    """The values and functions that an app passes to ``convert``.

    Attributes:
        entries: signatures of the TFLite file. Each entry also contains examples. The examples from the
            validation split verify the file. The examples from the training split calibrate int8.
        form: ``"fused"``, ``"unrolled"`` or ``"generic"``. The form determines how the TFLite file computes
            the time steps. See ``tflite.choose_form``.
        shape: settings that all TFLite files of a run must share, such as ``length``. The values
            must have JSON types, because they are stored in a JSON file. If the settings change, ``convert``
            removes the existing TFLite files.
        note: description of ``shape`` in one line, for the title of the table.
        metric: name of the score that ``score`` returns.
        number: Python format specification with which the score is printed, such as ``.2%``.
        score: function that receives the path of a TFLite file and the outputs of the file on the validation
            examples, as ``{signature: {output: array}}``. It returns the score of the file.
        references: scores of the Keras model, for comparison, as ``{name: score}``.
        bundle: function that receives the report on all TFLite files and returns the :class:`Bundle`.
        mediapipe: function that receives the number of subgraphs of a file and returns True if MediaPipe can
            read the file. None if MediaPipe does not support the task.
        finish: function that receives the content of a TFLite file and its number of subgraphs. It returns
            the content with metadata. Default: no metadata.
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
