# SPDX-License-Identifier: Apache-2.0
"""A network of models.py as ONNX bytes, float or QDQ int8. Protobuf is written by hand: four wire types suffice.

QDQ: u8 activations and s8 weights with one scale per output channel, 32-bit biases of scale x_scale * w_scale, a
QuantizeLinear and DequantizeLinear pair after each operator; a ReLU whose zero point is the lower end is left to the
pair, as the usual exporters do. Source: onnx.proto (IR 8), ai.onnx opset 17.
"""
import struct

import numpy as np

F32, U8, I8, I32, I64 = 1, 2, 3, 6, 7
KINDS = {"float32": F32, "uint8": U8, "int8": I8, "int32": I32, "int64": I64}


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    if isinstance(value, float):
        return field(1, name) + field(2, value) + field(20, 1)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, 3)
    return field(1, name) + b"".join(field(8, int(v)) for v in value) + field(20, 7)


def value_info(name, dims):
    shape = b"".join(field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, F32) + field(2, shape)))


class Writer:
    def __init__(self, net, quantised, every_output=False):
        self.net, self.quantised, self.every = net, quantised, every_output
        self.nodes, self.constants, self.known, self.n = [], [], {}, 0
        self.names = {}  # tensor of the network -> name of the value an operator reads

    def constant(self, array):
        array = np.asarray(array, order="C")
        key = (array.dtype.name, array.shape, array.tobytes()) if array.size <= 8 else None
        if key in self.known:
            return self.known[key]
        name = f"c{len(self.constants)}"
        dims = b"".join(field(1, d) for d in array.shape)
        self.constants.append(dims + field(2, KINDS[array.dtype.name]) + field(8, name) + field(9, array.tobytes()))
        if key:
            self.known[key] = name
        return name

    def add(self, op, reads, out=None, n_out=1, **attributes):
        self.n += 1
        name = f"{op}_{self.n}"
        outs = [out or name] if n_out == 1 else [f"{name}_{i}" for i in range(n_out)]
        body = b"".join(field(1, r) for r in reads) + b"".join(field(2, o) for o in outs) + field(3, name)
        self.nodes.append(body + field(4, op) + b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))
        return outs[0] if n_out == 1 else outs

    def pair(self, name, tensor):
        """What the readers of a tensor see."""
        if not self.quantised:
            return name
        args = [self.constant(np.float32(tensor.scale)), self.constant(np.uint8(tensor.zero))]
        return self.add("DequantizeLinear", [self.add("QuantizeLinear", [name, *args]), *args])

    def weights(self, node):
        """Names of weight and bias as the operator reads them."""
        if not self.quantised:
            return [self.constant(node.weight), self.constant(node.bias)]
        q, scales, bias = node.quantised()
        zeros = np.zeros(len(scales), np.int8)
        return [self.add("DequantizeLinear", [self.constant(q), self.constant(scales), self.constant(zeros)], axis=0),
                self.add("DequantizeLinear", [self.constant(bias),
                                              self.constant((scales * np.float32(node.reads[0].scale)).astype(np.float32)),
                                              self.constant(zeros.astype(np.int32))], axis=0)]

    def activate(self, y, act, tensor):
        if act is None or (self.quantised and tensor.zero == 0):
            return y
        if act == "relu":
            return self.add("Relu", [y])
        return self.add("Clip", [y, self.constant(np.float32(0)), self.constant(np.float32(6))])

    def shuffle(self, x, tensor, groups):
        n, c, h, w = tensor.shape
        y = self.pair(self.add("Reshape", [x, self.constant(np.array([n, groups, c // groups, h, w], np.int64))]), tensor)
        y = self.pair(self.add("Transpose", [y], perm=[0, 2, 1, 3, 4]), tensor)
        return self.add("Reshape", [y, self.constant(np.array([n, c, h, w], np.int64))])

    def operator(self, node):
        x, out, a = [self.names[t] for t in node.reads], node.writes[0], node.attributes
        op = node.op
        if op == "conv":
            y = self.add("Conv", x + self.weights(node), kernel_shape=a["kernel"], strides=a["stride"],
                         pads=a["pads"], group=a["groups"], dilations=[1, 1])
            return self.activate(y, a["act"], out)
        if op == "fc":
            return self.activate(self.add("Gemm", x + self.weights(node), transB=1), a["act"], out)
        if op in ("maxpool", "avgpool"):
            more = {"count_include_pad": 0} if op == "avgpool" else {}
            return self.add({"maxpool": "MaxPool", "avgpool": "AveragePool"}[op], x, kernel_shape=a["kernel"],
                            strides=a["stride"], pads=a["pads"], **more)
        if op == "add":
            return self.activate(self.add("Add", x), a["act"], out)
        if op == "upsample":
            return self.add("Resize", [x[0], "", self.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
                            coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        if op == "shuffle":
            return self.shuffle(x[0], out, a["groups"])
        if op == "head":
            y = self.pair(self.add("Transpose", x, perm=[0, 2, 3, 1]), out)
            return self.add("Reshape", [y, self.constant(np.array(out.shape, np.int64))])
        simple = {"mul": ("Mul", {}), "concat": ("Concat", {"axis": 1}), "sigmoid": ("Sigmoid", {}),
                  "softmax": ("Softmax", {"axis": -1}), "hswish": ("HardSwish", {}), "flatten": ("Flatten", {"axis": 1}),
                  "gap": ("GlobalAveragePool", {}), "hsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
                  "leaky": ("LeakyRelu", {"alpha": 0.1})}
        name, attributes = simple[op]
        return self.add(name, x, **attributes)

    def write(self):
        net = self.net
        self.names[net.input] = self.pair("x", net.input)
        for node in net.nodes:
            if node.op == "split":
                raw = self.add("Split", [self.names[node.reads[0]]], n_out=2, axis=1)
                for t, y in zip(node.writes, raw):
                    self.names[t] = self.pair(y, t)
            else:
                self.names[node.writes[0]] = self.pair(self.operator(node), node.writes[0])
        outputs = net.outputs if not self.every else [t for n in net.nodes for t in n.writes]
        graph = b"".join(field(1, n) for n in self.nodes) + field(2, net.name)
        graph += b"".join(field(5, c) for c in self.constants) + field(11, value_info("x", net.input.shape))
        graph += b"".join(field(12, value_info(self.names[t], t.shape)) for t in outputs)
        return field(1, 8) + field(2, "ledge bench/peers") + field(7, graph) + field(8, field(2, 17))


def onnx_bytes(net, quantised, every_output=False):
    return Writer(net, quantised, every_output).write()
