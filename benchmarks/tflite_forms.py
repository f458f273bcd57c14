"""Converts a trained sentiment model to TFLite files of different forms, and measures each file.

``python -m benchmarks.tflite_forms --run saved_models/sentiment --length 64`` prints one Markdown table. The
forms compute the time steps in different ways. A file of the form "generic" contains a loop of TensorFlow
Lite. A file of the form "unrolled" contains a copy of the operators for each time step. A file of the form
"fused" contains one operator for a whole LSTM.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import click

ROWS = 200  # number of validation texts that are used for the measurement


def measure(run: str, length: int | None, quantize: str) -> list[str]:
    """Converts the run to each form, measures the files, and returns the lines of the table."""
    from apps.cli import import_tensorflow

    import_tensorflow()
    import keras

    from apps.run import Run
    from apps.sentiment.options import Convert
    from apps.task import load_task
    from seqmodels.errors import UserError
    from seqmodels.export import tflite

    made = load_task("sentiment").phone(
        Run(run),
        keras.models.load_model(Run(run).model),
        Convert(run=run, length=length, quantize=quantize),
    )
    (entry,) = made.entries
    entry = replace(
        entry,
        inputs={name: rows[:ROWS] for name, rows in entry.inputs.items()},
        expected={name: rows[:ROWS] for name, rows in entry.expected.items()},
    )
    lines = [
        f"| {made.shape['length']} tokens, {quantize} | operators | subgraphs | kB | ms | difference | "
        "conversion |",
        "|---|---|---|---|---|---|---|",
    ]
    for form in ("generic", "unrolled", "fused") if made.form == "fused" else ("generic", "unrolled"):
        with TemporaryDirectory() as folder:
            start = perf_counter()
            try:
                result = tflite.convert(Path(folder) / "model.tflite", [entry], form, quantize)
            except UserError as error:
                lines.append(f"| {form} | {error} | | | | | |")
                continue
            seconds = perf_counter() - start
        lines.append(
            f"| {form} | {sum(result.operators.values())} | {result.subgraphs} | {result.size / 1000:.0f} | "
            f"{result.milliseconds['classify']:.3f} | {result.difference:.1g} | {seconds:.0f} s |"
        )
    return lines


@click.command(context_settings={"show_default": True})
@click.option("--run", default="saved_models/sentiment", help="Folder of a trained sentiment run.")
@click.option(
    "--length", type=int, help="Maximum number of tokens per text. By default, `convert` chooses the number."
)
@click.option(
    "--quantize",
    default="none",
    help="Type of quantization. The values are the same as in `convert --quantize`.",
)
def main(run: str, length: int | None, quantize: str) -> None:
    """Convert a sentiment model to each form of TFLite file, and print a Markdown table.

    The table shows the size, the latency and the numerical difference of each file. The latency is the median
    of 200 calls with one thread. The numerical difference is the largest absolute difference between the
    outputs of the file and the outputs of the Keras model.
    """
    click.echo("\n".join(measure(run, length, quantize)))


if __name__ == "__main__":
    main()
