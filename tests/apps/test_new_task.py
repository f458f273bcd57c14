"""A complete new task: one folder and one row provide every verb and the Python API.

The folder is the smallest one with all parts of a task, as CONTRIBUTING.md describes them.
"""

from __future__ import annotations

import itertools
import json
import sys
from textwrap import dedent

import pytest
from click.testing import CliRunner

import apps
from apps import load_run
from apps.__main__ import TASKS
from apps.__main__ import main as seqmodels

FILES = {
    "__init__.py": '''
        """Recognizes texts with an odd number of the letter a."""

        from apps.api import TrainedRun, train_task


        def train(data, run=None, **options) -> TrainedRun:
            return train_task("count", data, run, options)
    ''',
    "__main__.py": '''
        """The command line ``python -m apps.count``."""

        from apps.cli import application
        from apps.count.options import Evaluate, Predict, Train

        main = application("count", "Recognize texts with an odd number of a.", Train, Evaluate, Predict)

        if __name__ == "__main__":
            main(prog_name="python -m apps.count")
    ''',
    "options.py": '''
        """Options of the task. Loads no TensorFlow."""

        from dataclasses import dataclass

        from apps.options import EvaluateOptions, PredictOptions, TrainOptions, option


        @dataclass(frozen=True, kw_only=True)
        class Train(TrainOptions):
            data: str = option("letters.csv", "Training data: a table with the columns text and label.")
            units: int = option(8, "Size of the recurrent state.", minimum=1, model=True)


        Evaluate, Predict = EvaluateOptions, PredictOptions
    ''',
    "data.py": '''
        """Converts a table of texts and labels to batches of token ids."""

        from dataclasses import dataclass
        from pathlib import Path

        import numpy as np
        import tensorflow as tf

        from apps.task import Data
        from seqmodels.data.batching import batches, bucket_edges
        from seqmodels.data.sequences import PAD
        from seqmodels.data.splits import cut_order, digest
        from seqmodels.data.tables import read_table
        from seqmodels.data.tokenizer import Tokenizer, TokenizerSettings

        CLASSES = ["even", "odd"]
        LETTERS = {"unit": "character", "split": "reversible"}


        @dataclass(frozen=True)
        class Source:
            splits: dict[str, list[tuple[str, str]]]
            sha256: str


        def read(data: str, seed: int) -> Source:
            table = read_table(Path(data))
            rows = list(zip(table.texts("text"), table.texts("label")))
            sha256 = digest([("whole", len(rows), (f"{text} {label}\\n" for text, label in rows))])
            rows.sort(key=lambda row: cut_order(row[0], seed))
            tenth = len(rows) // 10
            splits = {"test": rows[:tenth], "valid": rows[tenth : 2 * tenth], "train": rows[2 * tenth :]}
            return Source(splits, sha256)


        def load(options, tokenizer: Tokenizer | None) -> Data:
            source = read(options.data, options.seed)
            columns = {name: tuple(zip(*rows)) for name, rows in source.splits.items()}
            if tokenizer is None:
                tokenizer = Tokenizer.train(columns["train"][0], TokenizerSettings(**LETTERS))
            ids = {name: tokenizer.encode(texts) for name, (texts, _) in columns.items()}
            labels = {name: codes(names) for name, (_, names) in columns.items()}
            edges = bucket_edges(np.concatenate([each.lengths for each in ids.values()]), 1)
            shapes = {"edges": edges, "batch_size": options.batch_size}
            facts = {
                "source": options.data,
                "sha256": source.sha256,
                "notes": [],
                "counts": {name: len(rows) for name, rows in source.splits.items()},
            }
            return Data(
                train=lambda epoch: batches(
                    ids["train"], labels["train"], **shapes, seed=options.seed, epoch=epoch
                ),
                valid=lambda: batches(ids["valid"], labels["valid"], **shapes),
                assets=tokenizer,
                facts=facts,
                source=source,
            )


        def codes(names) -> np.ndarray:
            return np.array([CLASSES.index(name) for name in names], np.int32)


        def tensors(tokenizer: Tokenizer, texts: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tokenizer(texts)
            return {"tokens": rows.to_tensor(PAD), "lengths": tf.cast(rows.row_lengths(), tf.int32)}
    ''',
    "task.py": '''
        """The whole task, from building to converting the model."""

        from functools import partial

        import keras
        import numpy as np
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        from apps import frames
        from apps.bundle import Bundle, Phone
        from apps.count.data import CLASSES, codes, load, read, tensors
        from apps.count.options import Evaluate, Predict, Train
        from apps.inference import Forms, open_model
        from apps.options import ConvertOptions
        from apps.task import Task
        from seqmodels.cells import GRUCell
        from seqmodels.data.tokenizer import Tokenizer
        from seqmodels.export.signature import Signature
        from seqmodels.export.tflite import Entry, choose_form
        from seqmodels.layers import Recurrent
        from seqmodels.training.objectives import classification

        LENGTH = 6  # letters that a TFLite file reads


        @keras.saving.register_keras_serializable(package="count")
        class Counter(keras.Model):
            def __init__(self, vocabulary: int, units: int, **kwargs):
                super().__init__(**kwargs)
                self.vocabulary, self.units = vocabulary, units
                self.recurrent = Recurrent(GRUCell(units))
                self.head = keras.layers.Dense(len(CLASSES))

            def build(self, input_shape=None):
                self.recurrent.build((None, None, self.vocabulary))
                self.head.build((None, self.units))
                self.built = True

            def call(self, inputs, training=False):
                letters = tf.one_hot(inputs["tokens"], self.vocabulary)  # (batch, time, vocabulary)
                _, (state,) = self.recurrent(letters, inputs["lengths"], training=training)
                return self.head(state)  # (batch, classes)

            def get_config(self):
                return {**super().get_config(), "vocabulary": self.vocabulary, "units": self.units}


        def build(options, tokenizer):
            model = Counter(len(tokenizer), **options.model_settings())
            model.build()
            return model


        def scores(probabilities, rows):
            right = probabilities.argmax(axis=1) == codes(label for _, label in rows)
            return {"examples": len(rows), "accuracy": float(np.mean(right))}


        def majority(source, split):
            train, rows = codes(label for _, label in source.splits["train"]), source.splits[split]
            frequencies = np.bincount(train, minlength=2) / len(train)
            return {"majority": scores(np.tile(frequencies, (len(rows), 1)), rows)}


        def baselines(data):
            return {split: majority(data.source, split) for split in ("valid", "test")}


        def forms(tokenizer):
            def of_keras(model):
                return lambda texts: tf.nn.softmax(model(tensors(tokenizer, tf.constant(texts)))).numpy()

            def of_saved_model(loaded):
                run = loaded.signatures["classify"]
                return lambda texts: run(text=tf.constant(texts))["probabilities"].numpy()

            def of_tflite(path, kind):
                run = Interpreter(model_path=str(path)).get_signature_runner("classify")

                def probabilities(texts):
                    rows = padded(tokenizer, texts)
                    return np.concatenate([run(tokens=row[None])["probabilities"] for row in rows])

                return probabilities

            return Forms(of_keras, of_saved_model, of_tflite)


        def evaluate(run, options):
            stored, tokenizer = run.trained_with(Train), Tokenizer.load(run.assets)
            source = run.trained_on(stored.data, lambda: read(stored.data, stored.seed))
            rows = source.splits["test"]
            if options.data is not None:
                rows = [row for part in read(options.data, 0).splits.values() for row in part]
            probabilities = open_model(run, options.model, forms(tokenizer))([text for text, _ in rows])
            return {
                "data": options.data or stored.data,
                "model": scores(probabilities, rows),
                "baselines": majority(source, "test"),
            }


        def predict(run, chunks, options):
            probabilities_of = open_model(run, options.model, forms(Tokenizer.load(run.assets)))
            for texts in chunks:
                for text, row in zip(texts, probabilities_of(texts)):
                    named = {name: round(float(p), 6) for name, p in zip(CLASSES, row)}
                    yield {"text": text, "label": CLASSES[row.argmax()], "probabilities": named}


        def signatures(model, tokenizer):
            def classify(text):
                return {"probabilities": tf.nn.softmax(model(tensors(tokenizer, text)))}

            resources = [*(variable.value for variable in model.variables), tokenizer]
            spec = tf.TensorSpec([None], tf.string)
            return [Signature("classify", classify, {"text": spec}, ("probabilities",), resources)]


        def padded(tokenizer, texts):
            return tokenizer(tf.constant(texts)).to_tensor(0, shape=(None, LENGTH)).numpy().astype(np.int32)


        def phone(run, model, options):
            stored, tokenizer = run.trained_with(Train), Tokenizer.load(run.assets)
            source = run.trained_on(stored.data, lambda: read(stored.data, stored.seed))

            def classify(tokens):
                lengths = tf.reduce_sum(tf.cast(tokens != 0, tf.int32), axis=1)
                return {"probabilities": tf.nn.softmax(model({"tokens": tokens, "lengths": lengths}))}

            spec, variables = tf.TensorSpec((1, LENGTH), tf.int32), [each.value for each in model.variables]
            signature = Signature("classify", classify, {"tokens": spec}, ("probabilities",), variables)
            valid, train = (source.splits[name] for name in ("valid", "train"))
            tokens = padded(tokenizer, [text for text, _ in valid])
            expected = {name: value.numpy() for name, value in classify(tokens).items()}
            representative = {"tokens": padded(tokenizer, [text for text, _ in train])}
            golden = {"tokens": tokens[:2].tolist(), "probabilities": expected["probabilities"][:2].tolist()}
            return Phone(
                entries=[Entry(signature, {"tokens": tokens}, expected, representative)],
                form=choose_form(fused=False, steps=LENGTH, quantize=options.quantize),
                shape={"length": LENGTH},
                note=f"{LENGTH} letters",
                metric="accuracy",
                number=".2%",
                score=lambda _, outputs: scores(outputs["classify"]["probabilities"], valid)["accuracy"],
                references={"Keras": scores(expected["probabilities"], valid)["accuracy"]},
                bundle=lambda report: Bundle(
                    "# Odd or even\\n", golden, {"vocab.txt": tokenizer.vocabulary}
                ),
            )


        TASK = Task(
            name="count",
            Train=Train,
            Evaluate=Evaluate,
            Predict=Predict,
            Convert=ConvertOptions,
            load=load,
            load_assets=Tokenizer.load,
            build=build,
            objective=lambda options, assets: classification(),
            monitor=("valid_loss", False),
            baselines=baselines,
            evaluate=evaluate,
            predict=predict,
            render_scores=lambda scores: f"accuracy {scores['model']['accuracy']:.2%}",
            render_prediction=lambda record: f"{record['label']}\\t{record['text']}",
            plot=lambda run, scores: [],
            headline=lambda scores: {"accuracy": scores["accuracy"]},
            signatures=signatures,
            examples=lambda tokenizer: [("classify", {"text": np.array([b"abba", b"a", b""])})],
            phone=phone,
            store=partial(frames.write_table, columns=("text", "label")),
            inputs=frames.texts,
        )
    ''',
}
TRAIN = {"epochs": 20, "batch_size": 16, "learning_rate": 0.03, "patience": None, "xla": False, "parts": 1}


def letters() -> list[tuple[str, str]]:
    """Returns every text of one to five letters a, b or c, with its label."""
    texts = ("".join(each) for size in range(1, 6) for each in itertools.product("abc", repeat=size))
    return [(text, "odd" if text.count("a") % 2 else "even") for text in texts]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the task ``count``, which is part of ``apps`` and has a row in the table of tasks."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "count").mkdir()
    for name, source in FILES.items():
        (folder / "count" / name).write_text(dedent(source).lstrip(), encoding="utf-8")
    rows = "".join(f"{text},{label}\n" for text, label in letters())
    (folder / "letters.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apps, "__path__", [*apps.__path__, str(folder)])
        patch.setitem(TASKS, "count", "Recognize texts with an odd number of the letter a.")
        yield folder
    for name in [name for name in sys.modules if name == "apps.count" or name.startswith("apps.count.")]:
        del sys.modules[name]
    del apps.count


@pytest.fixture(scope="module")
def verb(project):
    """Runs ``seqmodels count VERB ...`` in this process and returns its stdout."""

    def perform(*arguments: object) -> str:
        result = CliRunner().invoke(seqmodels, ["count", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return perform


@pytest.fixture(scope="module")
def run(project, verb):
    """The folder of a finished run, trained from the command line."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in TRAIN.items() if name != "xla"]
    verb("train", "--data", project / "letters.csv", "--run", project / "run", "--no-xla", *given)
    return project / "run"


def test_one_row_adds_the_task_to_the_command_line(project, verb):
    shown = CliRunner().invoke(seqmodels, ["--help"]).stdout
    assert "count" in shown
    help = verb("--help")
    for name in ("train", "evaluate", "predict", "info", "export", "convert"):
        assert f"\n  {name} " in help
    assert "--units" in verb("train", "--help")


@pytest.mark.slow
def test_the_model_learns_and_beats_its_baseline(run, verb):
    scores = json.loads(verb("evaluate", "--run", run, "--json"))
    assert scores["model"]["examples"] == 36
    assert scores["model"]["accuracy"] > 0.9 > scores["baselines"]["majority"]["accuracy"]
    assert "accuracy" in verb("evaluate", "--run", run)


def test_the_command_line_and_the_python_api_predict_the_same(run, verb):
    texts = ["abcab", "bbab"]
    printed = [json.loads(line) for line in verb("predict", "--run", run, "--json", *texts).splitlines()]
    assert load_run(run).predict(texts) == printed
    assert verb("predict", "--run", run, *texts) == "".join(
        f"{record['label']}\t{record['text']}\n" for record in printed
    )


def test_info_shows_data_options_and_scores(run, verb):
    facts = json.loads(verb("info", "--run", run, "--json"))
    (shown,) = facts.values() if isinstance(facts, dict) else facts
    assert shown["counts"]["train"] == 291
    assert shown["units"] == 8
    assert 0 < shown["test accuracy, majority"] < 0.9


@pytest.mark.slow
def test_export_and_convert(run, verb):
    assert json.loads(verb("export", "--run", run, "--json"))["signatures"] == ["classify"]
    report = json.loads(verb("convert", "--run", run, "--json"))
    assert report["files"]["model.tflite"]["accuracy"] == report["references"]["Keras"]
    texts = ["abcab", "bbab"]
    expected = load_run(run).predict(texts)
    for model in ("saved_model", "tflite"):
        for record, other in zip(expected, load_run(run).predict(texts, model=model)):
            assert other["probabilities"] == pytest.approx(record["probabilities"], abs=1e-4)


def test_training_from_python(project):
    from apps import count

    trained = count.train(letters()[:60], project / "rows", epochs=1, units=4, xla=False, parts=1)
    assert trained.task == "count"
    assert trained.options["units"] == 4
    assert trained.evaluate(letters()[60:90])["model"]["examples"] == 30
