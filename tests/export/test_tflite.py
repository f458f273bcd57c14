"""TFLite conversions of a small classifier. The tests of all cells, forms and quantizations are slow."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from seqmodels import registry
from seqmodels.errors import UsageError, UserError
from seqmodels.export import isolated, metadata, tflite
from seqmodels.export.flatbuffer import unpacked
from seqmodels.export.signature import Signature
from seqmodels.models import Classifier

LENGTH, VOCABULARY = 12, 20


def classifier(cell: str, pooling: str = "max", **options: Any) -> Classifier:
    tf.keras.utils.set_random_seed(3)
    model = Classifier(VOCABULARY, 3, 8, cell, 8, pooling=pooling, **options)
    model.build()
    rng = np.random.default_rng(4)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return model


def signature(model: Classifier, length: int = LENGTH) -> Signature:
    def classify(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.reduce_sum(tf.cast(tokens != 0, tf.int32), axis=1)
        return {"probabilities": tf.nn.softmax(model({"tokens": tokens, "lengths": lengths}))}

    variables = [variable.value for variable in model.variables]
    spec = tf.TensorSpec((1, length), tf.int32)
    return Signature("classify", classify, {"tokens": spec}, ("probabilities",), variables)


def rows(count: int, full: bool = False, length: int = LENGTH) -> dict[str, np.ndarray]:
    """Returns random tokens. The rows have lengths from 0 to ``length``; if ``full``, all have ``length``."""
    rng = np.random.default_rng(5)
    tokens = rng.integers(1, VOCABULARY, (count, length), np.int32)
    if not full:
        tokens[np.arange(length) >= np.arange(count)[:, None] % (length + 1)] = 0
    return {"tokens": tokens}


def convert(
    path: Path, cell: str, form: str, quantize: str, pooling: str = "max", **options: Any
) -> tflite.Converted:
    model = classifier(cell, pooling, **options)
    named, inputs = signature(model), rows(40)
    expected = {
        "probabilities": named.function(tokens=tf.constant(inputs["tokens"]))["probabilities"].numpy()
    }
    entry = tflite.Entry(named, inputs, expected, rows(100, full=True))
    return tflite.convert(path, [entry], form, quantize)


@pytest.mark.slow
def test_the_fused_form_keeps_no_state_between_calls(tmp_path: Path) -> None:
    """One interpreter runs all rows in turn. If it kept the state of a row, later outputs would change."""
    result = convert(tmp_path / "model.tflite", "lstm", "fused", "none")
    assert result.operators["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 2
    assert "WHILE" not in result.operators
    assert result.subgraphs == 1
    assert result.difference < 1e-5
    assert result.size == (tmp_path / "model.tflite").stat().st_size
    assert result.outputs["classify"]["probabilities"].shape == (40, 3)
    assert result.milliseconds["classify"] > 0
    details = Interpreter(str(tmp_path / "model.tflite")).get_signature_list()
    assert details == {"classify": {"inputs": ["tokens"], "outputs": ["probabilities"]}}


@pytest.mark.slow
def test_int8_of_the_fused_form(tmp_path: Path) -> None:
    result = convert(tmp_path / "model_int8.tflite", "lstm", "fused", "int8")
    assert result.operators["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 2
    assert result.difference < 0.2


@pytest.mark.slow
def test_h_of_an_8_bit_lstm_has_one_scale(tmp_path: Path) -> None:
    """The converter sets three scales for h: as the rounded value, as the state and as the output."""
    path = tmp_path / "model_int8.tflite"
    result = convert(path, "lstm", "fused", "int8")
    (graph,) = unpacked(path.read_bytes()).subgraphs
    fused = [operator for operator in graph.operators if operator.intermediates is not None]
    assert len(fused) == 2
    for operator in fused:
        tensors = operator.intermediates[4], operator.inputs[18], operator.outputs[0]
        found = {(*map(float, q.scale), *map(int, q.zeroPoint)) for q in _quantizations(graph, tensors)}
        assert len(found) == 1
    assert result.difference < 0.015  # it is 0.03 with three scales


def _quantizations(graph: Any, tensors: Any) -> list[Any]:
    return [graph.tensors[index].quantization for index in tensors]


@pytest.mark.slow
def test_the_scale_of_evidence_costs_no_precision_in_8_bits(tmp_path: Path) -> None:
    """N-gram weights are small. With the 8-bit scale of the evidence, they would be rounded to few values."""
    model = classifier("lstm", ngrams=2, ngram_buckets=97, evidence_scale=40.0)
    model.ngrams.table.assign(np.random.default_rng(6).normal(scale=1 / 40, size=(97, 3)))
    named, inputs = signature(model), rows(40)
    expected = {
        "probabilities": named.function(tokens=tf.constant(inputs["tokens"]))["probabilities"].numpy()
    }
    entry = tflite.Entry(named, inputs, expected, rows(100, full=True))
    result = tflite.convert(tmp_path / "model_int8.tflite", [entry], "fused", "int8")
    assert result.difference < 0.015  # it is 0.05 if the scale is applied as an elementwise product


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [pytest.param("none", marks=pytest.mark.slow), "int8"])
def test_two_signatures_in_one_file_share_its_weights(tmp_path: Path, quantize: str) -> None:
    weight = tf.Variable(np.random.default_rng(6).normal(size=(64, 64)).astype(np.float32))
    data = {"x": np.random.default_rng(7).normal(size=(20, 64)).astype(np.float32)}

    def once(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x @ weight}

    def twice(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.tanh(x @ weight) @ weight}

    spec = {"x": tf.TensorSpec((1, 64))}
    entries = []
    for function in (once, twice):
        named = Signature(function.__name__, function, spec, ("y",), [weight])
        expected = {"y": function(tf.constant(data["x"]))["y"].numpy()}
        entries.append(tflite.Entry(named, data, expected, data))
    path = tmp_path / tflite.file_name(quantize)
    scale = max(float(np.abs(entry.expected["y"]).max()) for entry in entries)
    result = tflite.convert(path, entries, "auto", quantize)
    assert result.subgraphs == 2
    assert set(result.milliseconds) == set(result.outputs) == {"once", "twice"}
    assert result.size < 2 * weight.shape.num_elements() * (4 if quantize == "none" else 1)
    assert result.difference < scale * (1e-5 if quantize == "none" else 0.05)


def test_a_crash_of_the_converter_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "convert.py"
    crash.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(isolated, "CONVERT", crash)
    path = tmp_path / "model.tflite"
    path.write_bytes(b"of yesterday")
    with pytest.raises(UserError, match=r"^convert crashed \(SIGSEGV\); no file was written or replaced$"):
        convert(path, "rnn", "generic", "int8")
    assert path.read_bytes() == b"of yesterday"


@pytest.mark.slow
def test_the_error_names_operators_that_are_not_built_in(tmp_path: Path) -> None:
    def ask(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.math.digamma(x)}

    named = Signature("ask", ask, {"x": tf.TensorSpec((1,))}, ("y",), ())
    entry = tflite.Entry(named, {}, {}, {"x": np.ones(1)})
    with pytest.raises(UserError, match=r"no built-in operator for tf\.Digamma$"):
        tflite.convert(tmp_path / "model.tflite", [entry], "auto", "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fused", "steps", "quantize", "form"),
    [
        (True, 500, "int8", "fused"),
        (False, 128, "int8", "unrolled"),
        (False, 128, "none", "unrolled"),
        (False, 129, "dynamic", "generic"),
    ],
)
def test_choose_form(fused: bool, steps: int, quantize: str, form: str) -> None:
    assert tflite.choose_form(fused, steps, quantize) == form


def test_int8_of_a_long_loop_is_an_error() -> None:
    with pytest.raises(
        UsageError, match="--quantize int8 with 129 time steps needs LSTM layers; use --length 128"
    ):
        tflite.choose_form(False, 129, "int8")


def test_metadata(tmp_path: Path) -> None:
    """Model, metadata and files follow the format, and the interpreter still reads the file."""
    model = tf.function(lambda x: tf.cast(x, tf.float32)).get_concrete_function(
        tf.TensorSpec((1, 4), tf.int32)
    )
    plain = tf.lite.TFLiteConverter.from_concrete_functions([model]).convert()
    content = metadata.with_text_classifier(plain, ["bad", "good"], ["<PAD>", "<START>", "w"], "[^a-z]+")
    entries = {entry.name: entry.buffer for entry in unpacked(content).metadata}
    buffer = bytes(unpacked(content).buffers[entries[b"TFLITE_METADATA"]].data)
    assert buffer[4:8] == b"M001"
    for part in (b"TextClassifier", b"[^a-z]+", b"vocab.txt", b"labels.txt", b"1.2.1"):
        assert part in buffer
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("vocab.txt") == b"<PAD> 0\n<START> 1\nw 2\n"
        assert archive.read("labels.txt") == b"bad\ngood\n"
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 4]


FORMS = [("generic", kind) for kind in ("none", "dynamic", "float16")]
FORMS += [("unrolled", kind) for kind in registry.QUANTIZATIONS]
CELLS = [(cell, form, kind) for cell in registry.CELLS for form, kind in FORMS]
CELLS += [("lstm", "fused", kind) for kind in registry.QUANTIZATIONS]


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "form", "quantize"), CELLS)
def test_every_cell_form_and_quantization(tmp_path: Path, cell: str, form: str, quantize: str) -> None:
    result = convert(tmp_path / "model.tflite", cell, form, quantize, layers=2)
    assert ("WHILE" in result.operators) == (form == "generic")
    assert (result.subgraphs == 1) == (form != "generic")
    assert result.difference < {"none": 1e-5, "float16": 0.01, "dynamic": 0.2, "int8": 0.3}[quantize]


@pytest.mark.slow
@pytest.mark.parametrize("pooling", registry.POOLINGS)
@pytest.mark.parametrize("quantize", registry.QUANTIZATIONS)
def test_every_pooling(tmp_path: Path, pooling: str, quantize: str) -> None:
    result = convert(tmp_path / "model.tflite", "lstm", "fused", quantize, pooling)
    assert result.difference < {"none": 1e-5, "float16": 0.01, "dynamic": 0.2, "int8": 0.3}[quantize]
