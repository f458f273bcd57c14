"""Measures the speed of a trained translation model in each of its formats.

``python -m benchmarks.translation saved_models/de-en`` prints one Markdown table. Before
you start it, run ``export`` and ``convert`` of the translation app. A format that does not exist is skipped.

This process translates the sentences of the test split with each format. Before the measurement, it
translates a few sentences to warm up. The speed is the number of source words per second. To count the
words, a text is split at white space.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from apps.cli import import_tensorflow
from apps.options import MODELS

SHORTEST = 5  # number of sentences that a format translates before it is measured


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--sentences", default=500, help="Maximum number of test sentences to translate.")
def main(folder: str, sentences: int) -> None:
    """Measure every format of the run in FOLDER and print a Markdown table."""
    import_tensorflow()
    from apps.inference import open_model
    from apps.run import Run
    from apps.translation.data import Assets, reading
    from apps.translation.inference import Decoding, forms
    from apps.translation.options import Train
    from apps.translation.pairs import load_pairs
    from seqmodels.errors import UsageError

    run = Run(folder)
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    test = load_pairs(stored.data, assets.source, assets.target, stored.seed, reading=reading(stored)).test
    test = test.take(range(min(sentences, len(test))))
    words = sum(len(text.split()) for text in test.sources)
    click.echo(f"| {Path(stored.data).name}, {len(test)} sentences | words/s |\n|---|---|")
    for kind in MODELS:
        for beam in (1, 5):
            if beam > 1 and kind.startswith("tflite"):
                continue
            try:
                translate = open_model(run, kind, forms(assets, Decoding(beam=beam)))
            except UsageError:  # the run does not have this format
                continue
            list(translate([test.sources[:SHORTEST]]))
            start = time.perf_counter()
            list(translate([test.sources]))
            seconds = time.perf_counter() - start
            click.echo(f"| {kind}, beam {beam} | {words / seconds:,.0f} |")


if __name__ == "__main__":
    main()
