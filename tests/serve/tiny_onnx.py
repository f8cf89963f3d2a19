# SPDX-License-Identifier: Apache-2.0
"""Write small ONNX models for tests: a protobuf writer for the few messages they need (onnx.proto, IR 8). Standard
library only."""
import struct


def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def nested(field, value):
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def floats(name, dims, values):
    """TensorProto of FLOAT with raw data."""
    return (b"".join(number(1, d) for d in dims) + number(2, 1) + nested(8, name)
            + nested(9, struct.pack(f"<{len(values)}f", *values)))


def ints_attribute(name, values):
    return nested(1, name) + b"".join(number(8, v) for v in values) + number(20, 7)


def node(op, inputs, outputs, name, attributes=()):
    return (b"".join(nested(1, i) for i in inputs) + b"".join(nested(2, o) for o in outputs) + nested(3, name)
            + nested(4, op) + b"".join(nested(5, a) for a in attributes))


def value_info(name, dims, dtype=1):
    """ValueInfoProto; a text in dims is a free dimension of that name."""
    shape = b"".join(nested(1, nested(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return nested(1, name) + nested(2, nested(1, number(1, dtype) + nested(2, shape)))


def model(nodes, inputs, outputs, constants, metadata=None, opset=13):
    graph = (b"".join(nested(1, n) for n in nodes) + nested(2, "g") + b"".join(nested(5, c) for c in constants)
             + b"".join(nested(11, i) for i in inputs) + b"".join(nested(12, o) for o in outputs))
    pairs = b"".join(nested(14, nested(1, k) + nested(2, v)) for k, v in (metadata or {}).items())
    return number(1, 8) + nested(2, "ledge-test") + nested(7, graph) + nested(8, nested(1, "") + number(2, opset)) + pairs


def conv_of(scale, offset, side=3, batch="n", layers=1, metadata=None):
    """x [batch, 3, side, side] -> y, y[c] = scale * sum of the channels + offset + c, by 1x1 convolutions.

    More layers cost time and change nothing: the first ones are the identity."""
    nodes, constants, last = [], [], "x"
    for i in range(layers - 1):
        constants.append(floats(f"i{i}", [3, 3, 1, 1], [1, 0, 0, 0, 1, 0, 0, 0, 1]))
        nodes.append(node("Conv", [last, f"i{i}"], [f"t{i}"], f"conv{i}"))
        last = f"t{i}"
    constants.append(floats("w", [3, 3, 1, 1], [scale] * 9))
    constants.append(floats("b", [3], [offset, offset + 1, offset + 2]))
    nodes.append(node("Conv", [last, "w", "b"], ["y"], "conv"))
    dims = [batch, 3, side, side]
    return model(nodes, [value_info("x", dims)], [value_info("y", dims)], constants, metadata)


def greater_than(limits):
    """x [len(limits)] -> y BOOL, x > limits."""
    dims = [len(limits)]
    return model([node("Greater", ["x", "l"], ["y"], "greater")], [value_info("x", dims)], [value_info("y", dims, 9)],
                 [floats("l", dims, limits)])
