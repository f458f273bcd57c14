"""A .tflite as objects that can be changed, and back."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# Of UNIDIRECTIONAL_SEQUENCE_LSTM: which input is the state h, which intermediate the h that is rounded.
_STATE, _HIDDEN = 18, 4


def unpacked(content: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(content, 0)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def mended(content: bytes) -> bytes:
    """The file without two faults that the converter leaves in it."""
    model = unpacked(content)
    for graph in model.subgraphs:
        _leave_variables_plain(graph)
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
                _give_h_one_scale(graph, operator)
    return packed(model)


def _leave_variables_plain(graph: schema.SubGraphT) -> None:
    """Removes the operators that write the start of a variable.

    Of a variable's zeros, the converter to float16 makes a constant and an operator that writes it to the
    variable. Interpreters that check a file before they run it, as on Android and in MediaPipe, refuse that;
    and a variable starts at zero by itself.
    """
    graph.operators = [
        operator
        for operator in graph.operators
        if not any(graph.tensors[index].isVariable for index in operator.outputs)
    ]


def _give_h_one_scale(graph: schema.SubGraphT, lstm: schema.OperatorT) -> None:
    """Sets one scale and zero point of ``h`` in a fused LSTM of 8 bits.

    The operator computes ``h`` once, rounds it to the scale of an intermediate tensor, and hands the same
    bytes to the next step, as the state, and out. The converter gives each of the three a scale of its own,
    the state's from the last step alone: the same bytes then mean three different numbers. All of them take
    the output's, which was seen at every step.
    """
    output = graph.tensors[lstm.outputs[0]]
    if output.type == schema.TensorType.INT8:
        for index in (lstm.inputs[_STATE], lstm.intermediates[_HIDDEN]):
            graph.tensors[index].quantization = output.quantization
