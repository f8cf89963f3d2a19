# SPDX-License-Identifier: Apache-2.0
"""Float ONNX models for the consistent mode: every kind of float operator once, and small networks of each family
(inverted residuals, residual blocks by minimal filtering, recurrent, attention). Seeded; standard library only."""
import math
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "serve"))
from tiny_onnx import floats, ints_attribute, model, nested, node, number, value_info  # noqa: E402

OPSET = 23


def int_attribute(name, value):
    return nested(1, name) + number(3, value) + number(20, 2)


def float_attribute(name, value):
    return nested(1, name) + b"\x15" + struct.pack("<f", value) + number(20, 1)


def text_attribute(name, value):
    return nested(1, name) + nested(4, value) + number(20, 3)


def whole(name, values):
    """TensorProto of INT64."""
    return number(1, len(values)) + number(2, 7) + nested(8, name) + nested(9, struct.pack(f"<{len(values)}q", *values))


class Net:
    """Nodes one after the other; `at` is the last value."""

    def __init__(self, seed, dims):
        self.rng, self.dims = random.Random(seed), dims
        self.nodes, self.constants, self.at, self.n, self.outputs = [], [], "x", 0, []

    def weights(self, dims, low, high):
        self.n += 1
        self.constants.append(floats(f"w{self.n}", dims, [self.rng.uniform(low, high) for _ in range(math.prod(dims))]))
        return f"w{self.n}"

    def shape(self, values):
        self.n += 1
        self.constants.append(whole(f"w{self.n}", values))
        return f"w{self.n}"

    def add(self, op, more=(), attributes=(), at=None, outputs=1):
        self.n += 1
        made = [f"v{self.n}" if i == outputs - 1 else "" for i in range(outputs)]
        self.nodes.append(node(op, [at or self.at, *more], made, f"n{self.n}", attributes))
        self.at = made[-1]
        return self.at

    def conv(self, c, o, k=1, stride=1, groups=1, relu=None):
        spread = 2 / math.sqrt(c // groups * k * k)
        w = self.weights([o, c // groups, k, k], -spread, spread)
        b = self.weights([o], -0.2, 0.2)
        self.add("Conv", [w, b], [ints_attribute("kernel_shape", [k, k]), ints_attribute("strides", [stride, stride]),
                                  ints_attribute("pads", [k // 2] * 4), int_attribute("group", groups)])
        return self.add(relu) if relu else self.at

    def dense(self, k, n):
        return self.add("MatMul", [self.weights([k, n], -1 / math.sqrt(k), 1 / math.sqrt(k))])

    def bytes(self):
        outputs = self.outputs or [self.at]
        return model(self.nodes, [value_info("x", self.dims)], [nested(1, o) for o in outputs], self.constants,
                     opset=OPSET)


def mobile(seed):
    net = Net(seed, [1, 3, 48, 48])
    net.conv(3, 24, 3, 2, relu="Relu")
    for c, o, k, stride, act in ((24, 40, 3, 2, "HardSwish"), (40, 40, 5, 1, "Relu"), (40, 72, 3, 1, "Sigmoid")):
        before = net.at
        net.conv(c, 4 * c, relu=act)
        wide = net.conv(4 * c, 4 * c, k, stride, 4 * c, relu=act)
        net.add("GlobalAveragePool")
        net.conv(4 * c, c, relu="Relu")
        net.conv(c, 4 * c, relu="HardSigmoid")
        net.add("Mul", [net.at], at=wide)
        net.conv(4 * c, o)
        if c == o and stride == 1:
            net.add("Add", [before])
    net.add("GlobalAveragePool")
    net.add("Flatten")
    net.add("Gemm", [net.weights([10, 72], -0.2, 0.2), net.weights([10], -1, 1)], [int_attribute("transB", 1)])
    net.add("Softmax")
    return net.bytes()


def residual(seed):
    net = Net(seed, [1, 3, 64, 64])
    net.conv(3, 32, 7, 2, relu="Relu")
    net.add("MaxPool", (), [ints_attribute("kernel_shape", [3, 3]), ints_attribute("strides", [2, 2]),
                            ints_attribute("pads", [1] * 4)])
    for c, o, stride in ((32, 32, 1), (32, 64, 2), (64, 64, 1)):
        before = net.at
        net.conv(c, o, 3, stride, relu="LeakyRelu")
        main = net.conv(o, o, 3)
        if stride > 1:
            net.at = before
            before = net.conv(c, o, 1, stride)
        net.add("Add", [before], at=main)
        net.add("Relu")
    net.add("AveragePool", (), [ints_attribute("kernel_shape", [3, 3]), ints_attribute("pads", [1] * 4)])
    return net.bytes()


def recurrent(seed):
    """Time, batch, channels."""
    net = Net(seed, [17, 2, 20])
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        size = 20 if net.at == "x" else 24
        net.add(op, [net.weights([1, gates * 24, size], -0.4, 0.4), net.weights([1, gates * 24, 24], -0.4, 0.4),
                     net.weights([1, 2 * gates * 24], -0.4, 0.4)], [int_attribute("hidden_size", 24)])
        net.add("Squeeze", [net.shape([1])])
    return net.bytes()


def attention(seed):
    """An encoder block: tokens, channels."""
    net = Net(seed, [1, 33, 48])
    for _ in range(2):
        start = net.at
        normal = net.add("LayerNormalization", [net.weights([48], 0.5, 1.5), net.weights([48], -0.5, 0.5)])
        heads = []
        for _ in range(3):
            net.at = normal
            heads.append(net.dense(48, 48))
        net.add("Attention", heads[1:], [int_attribute("q_num_heads", 4), int_attribute("kv_num_heads", 4)], at=heads[0])
        net.dense(48, 48)
        after = net.add("Add", [start])
        net.dense(48, 100)
        net.add("Gelu")
        net.dense(100, 48)
        net.add("Add", [after])
    net.add("Tanh")
    return net.bytes()


UNARY = ["Abs", "Acos", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
         "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
         "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Swish", "Tan", "Tanh"]
REDUCE = ["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
          "ReduceSumSquare"]


def unary(op):
    """f(x) and f(11 x) (of what may be any number)."""
    net = Net(1, [1, 5, 7, 9])
    net.outputs = [net.add(op, at="x")]
    if op not in ("Acos", "Asin", "Atanh"):
        net.add("Mul", [net.weights([], 11, 11)], at="x")
        net.outputs.append(net.add(op))
    return net.bytes()


def positive(op):
    net = Net(2, [1, 5, 7, 9])
    net.add("Abs")
    net.add("Add", [net.weights([], 1, 1)])
    net.outputs = [net.add(op, [net.weights([5, 7, 9], -3, 3)] if op == "Pow" else ())]
    return net.bytes()


def reduce(op):
    net = Net(3, [3, 17, 70])
    net.outputs = [net.add(op, [net.shape([axis])], at="x") for axis in (0, 1, 2)] + [net.add(op, at="x")]
    return net.bytes()


def rows(op):
    """Over the last axis of 100."""
    net = Net(4, [2, 9, 100])
    scale, bias = net.weights([100], 0.5, 2), net.weights([100], -1, 1)
    net.outputs = [net.add(op, [scale, bias] if op == "LayerNormalization" else [scale] if "RMS" in op else ())]
    return net.bytes()


def picture(op):
    net = Net(5, [1, 18, 21, 23])
    if op in ("BatchNormalization", "InstanceNormalization"):
        more = [net.weights([18], 0.5, 2) for _ in range(4 if op[0] == "B" else 2)]
        net.add(op, more)
    elif op == "LRN":
        net.add(op, (), [int_attribute("size", 5)])
    elif op == "ConvTranspose":
        net.add(op, [net.weights([18, 7, 3, 3], -0.2, 0.2)], [ints_attribute("strides", [2, 2])])
    elif op == "Resize":
        net.constants.append(floats("scales", [4], [1, 1, 1.7, 2.3]))
        net.add(op, ["", "scales"], [text_attribute("mode", "cubic")], at="x")
    elif op == "LpPool":
        net.add(op, (), [ints_attribute("kernel_shape", [3, 3]), int_attribute("p", 3)])
    else:
        net.add(op)
    return net.bytes()


def product(m, k, n):
    net = Net(m + k + n, [m, k])
    net.add("MatMul", [net.weights([k, n], -1, 1)])
    return net.bytes()


def transform(_):
    net = Net(6, [1, 60, 1])
    net.constants.append(number(2, 7) + nested(8, "size") + nested(9, struct.pack("<q", 60)))
    net.add("DFT", ["size"])
    return net.bytes()


def write(folder):
    """All of them into folder; their paths."""
    made = {"mobile": mobile(1), "residual": residual(2), "recurrent": recurrent(3), "attention": attention(4),
            "dft": transform(0)}
    made.update({op: unary(op) for op in UNARY})
    made.update({op: positive(op) for op in ("Acosh", "Log", "Pow", "Sqrt")})
    made.update({op: reduce(op) for op in REDUCE})
    made.update({op: rows(op) for op in ("Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization",
                                         "LpNormalization")})
    made.update({op: picture(op) for op in ("BatchNormalization", "InstanceNormalization", "LRN", "MeanVarianceNormalization", "ConvTranspose", "Resize",
                                            "LpPool", "GlobalAveragePool", "GlobalMaxPool")})
    made.update({f"product-{m}x{k}x{n}": product(m, k, n) for m, k, n in ((1, 300, 65), (7, 513, 33), (40, 64, 10))})
    paths = []
    for name, data in made.items():
        path = pathlib.Path(folder) / f"float-{name}.onnx"
        path.write_bytes(data)
        paths.append(path)
    return paths
