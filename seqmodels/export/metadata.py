"""TFLite metadata for the text classifier of MediaPipe.

A TFLite file may contain a buffer ``TFLITE_METADATA`` that describes the tensors of the file. The buffer also
contains the names of further files, which are appended to the TFLite file as a zip archive. The schema of the
buffer is metadata_schema.fbs, version 1.2.1 and later,
https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from seqmodels.export.flatbuffer import packed, unpacked

FIRST_PARSER_WITH_REGEX = "1.2.1"
# Numbers from metadata_schema.fbs: two types of tables, and then two types of appended files.
FEATURE_PROPERTIES, REGEX_TOKENIZER, AXIS_LABELS, VOCABULARY = 1, 6, 2, 5


def with_text_classifier(
    content: bytes, labels: Sequence[str], vocabulary: Sequence[str], delimiter: str
) -> bytes:
    """Adds metadata to a TFLite file, so that MediaPipe can classify raw texts and return names of classes.

    MediaPipe splits a text at the delimiter and adds ``<START>`` before the first token. It truncates long
    texts at the end and pads short texts with ``<PAD>``. It does not convert the text to lower case.

    Args:
        content: content of a TFLite file with one subgraph, an int32 input ``[1, T]`` for T tokens, and a
            float output ``[1, classes]``.
        labels: names of the classes.
        vocabulary: tokens in the order of their ids, including ``<PAD>``, ``<START>`` and ``<UNKNOWN>``.
        delimiter: regular expression (RE2) that matches the text between tokens.

    >>> model = schema.ModelT()
    >>> model.buffers = []
    >>> content = with_text_classifier(packed(model), ["bad", "good"], ["<PAD>", "<START>", "<UNKNOWN>"], " ")
    >>> unpacked(content).metadata[0].name
    b'TFLITE_METADATA'
    """
    model = unpacked(content)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(_metadata(delimiter))
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    file = io.BytesIO(packed(model))
    # MediaPipe reads the archived files directly from the TFLite file, so they must not be compressed. Each
    # line of the vocabulary file contains a token and its id.
    numbered = "".join(f"{token} {index}\n" for index, token in enumerate(vocabulary))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("vocab.txt", numbered)
        archive.writestr("labels.txt", "".join(f"{label}\n" for label in labels))
    return file.getvalue()


def _metadata(delimiter: str) -> bytes:
    """Builds a ModelMetadata table. It describes a text input with a tokenizer, and an output with labels.

    The tokenizer splits texts with a regular expression.
    """
    builder = flatbuffers.Builder(1024)
    text, pattern, score = (builder.CreateString(name) for name in ("input_text", delimiter, "score"))
    vocabulary, labels = _file(builder, "vocab.txt", VOCABULARY), _file(builder, "labels.txt", AXIS_LABELS)
    tokenizer = _table(builder, 2, {0: pattern, 1: _vector(builder, vocabulary)})
    unit = _table(builder, 2, {1: tokenizer}, {0: ("Uint8", REGEX_TOKENIZER)})
    inputs = _tensor(builder, {0: text, 4: _vector(builder, unit)})
    outputs = _tensor(builder, {0: score, 6: _vector(builder, labels)})
    graph = _table(builder, 10, {2: _vector(builder, inputs), 3: _vector(builder, outputs)})
    name, version = builder.CreateString("TextClassifier"), builder.CreateString(FIRST_PARSER_WITH_REGEX)
    model = _table(builder, 8, {0: name, 3: _vector(builder, graph), 7: version})
    builder.Finish(model, b"M001")
    return bytes(builder.Output())


def _tensor(builder: flatbuffers.Builder, fields: dict[int, int]) -> int:
    """Builds a TensorMetadata table, which contains an empty FeatureProperties table."""
    properties = _table(builder, 0, {})
    content = _table(builder, 3, {1: properties}, {0: ("Uint8", FEATURE_PROPERTIES)})
    return _table(builder, 7, {**fields, 3: content})


def _file(builder: flatbuffers.Builder, name: str, kind: int) -> int:
    """Builds an AssociatedFile table."""
    return _table(builder, 5, {0: builder.CreateString(name)}, {2: ("Int8", kind)})


def _table(
    builder: flatbuffers.Builder,
    slots: int,
    offsets: dict[int, int],
    numbers: dict[int, tuple[str, int]] | None = None,
) -> int:
    """Builds a table with ``slots`` fields. The schema gives each field an index from 0.

    ``offsets`` maps the index of a field to the offset of another object. For a field that contains a number,
    ``numbers`` maps the index of the field to the pair ``(type, value)``, such as ``("Int8", 2)``.
    """
    builder.StartObject(slots)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, (kind, number) in (numbers or {}).items():
        getattr(builder, f"Prepend{kind}Slot")(slot, number, 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, offset: int) -> int:
    """Builds a vector that contains one object."""
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
