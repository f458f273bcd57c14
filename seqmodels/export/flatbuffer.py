"""Converts the content of a TFLite file to Python objects that can be changed, and converts them back."""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# Indices for the operator UNIDIRECTIONAL_SEQUENCE_LSTM. Its input with the index _STATE is the hidden state h
# of the previous time step. Its intermediate tensor with the index _HIDDEN is the new h, rounded to 8 bits.
_STATE, _HIDDEN = 18, 4


def unpacked(content: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(content, 0)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def mended(content: bytes) -> bytes:
    """Returns the content of a TFLite file after correcting two errors of TensorFlow's converter."""
    model = unpacked(content)
    for graph in model.subgraphs:
        _leave_variables_plain(graph)
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
                _give_h_one_scale(graph, operator)
    return packed(model)


def _leave_variables_plain(graph: schema.SubGraphT) -> None:
    """Removes the operators that write the initial value of a variable.

    For float16, the converter stores the initial zeros of a variable as a constant, and adds an operator that
    writes the constant to the variable. The interpreters of Android and MediaPipe check a file before they
    run it, and reject this operator. The operator can be removed, because a variable is zero at the start.
    """
    graph.operators = [
        operator
        for operator in graph.operators
        if not any(graph.tensors[index].isVariable for index in operator.outputs)
    ]


def _give_h_one_scale(graph: schema.SubGraphT, lstm: schema.OperatorT) -> None:
    """Sets the same scale and zero point for all copies of the hidden state ``h`` in a fused 8-bit LSTM.

    The operator computes ``h`` once and rounds it to the scale of an intermediate tensor. The rounded bytes
    are the output of the time step and also the state for the next time step. But the converter chooses
    different scales for the intermediate tensor, the output and the state. Without a correction, the same
    bytes would represent three different numbers. This function sets all three scales to the scale of the
    output. The output has the best scale, because the converter measures the range of the output at every
    time step. The converter measures the range of the state only after the last time step.
    """
    output = graph.tensors[lstm.outputs[0]]
    if output.type == schema.TensorType.INT8:
        for index in (lstm.inputs[_STATE], lstm.intermediates[_HIDDEN]):
            graph.tensors[index].quantization = output.quantization
