"""A .tflite as objects that can be changed, and back."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def unpacked(content: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(content, 0)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_plain_variables(content: bytes) -> bytes:
    """The file without the operators that write the start of a variable.

    Of a variable's zeros, the converter to float16 makes a constant and an operator that writes it to the
    variable. Interpreters that check a file before they run it, as on Android and in MediaPipe, refuse that;
    and a variable starts at zero by itself.
    """
    model = unpacked(content)
    for graph in model.subgraphs:
        graph.operators = [
            operator
            for operator in graph.operators
            if not any(graph.tensors[index].isVariable for index in operator.outputs)
        ]
    return packed(model)
