# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models with one 8-bit or float layer each, of every kind that has kernels of its own: convolutions (1x1,
k x k, grouped, depthwise, strided, dilated, padded), products, and quantised pairs with an addition. Seeded; standard
library only."""
import math
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "serve"))
from tiny_onnx import floats, ints_attribute, model, nested, node, number, value_info  # noqa: E402

U8, I8, I32, F32 = 2, 3, 6, 1


def tensor(name, dtype, dims, values):
    code = {U8: "B", I8: "b", I32: "i", F32: "f"}[dtype]
    return (b"".join(number(1, d) for d in dims) + number(2, dtype) + nested(8, name)
            + nested(9, struct.pack(f"<{len(values)}{code}", *values)))


def int_attribute(name, value):
    return nested(1, name) + number(3, value) + number(20, 2)


def byte(rng, dtype, wild):
    low, high = (0, 255) if dtype == U8 else (-128, 127)
    return rng.choice((low, high, low + 1)) if rng.random() < wild else rng.randint(low, high)


def zero_of(rng, dtype):
    return rng.choice((0, 128, 255, rng.randint(0, 255))) if dtype == U8 else rng.choice((0, -128, 127, rng.randint(-128, 127)))


class Conv:
    """The shape of a convolution; x [1][c][h][w]."""

    def __init__(self, rng):
        kind = rng.choice(("pointwise", "pointwise", "square", "square", "depthwise", "depthwise", "grouped", "first"))
        self.groups, self.dilation = 1, 1
        self.kernel = 1 if kind == "pointwise" else rng.choice((3, 3, 5, 2))
        self.stride = rng.choice((1, 1, 2))
        self.c, self.o = rng.choice((8, 16, 24, 64, 17, 100)), rng.choice((16, 32, 24, 96, 10, 65))
        if kind == "depthwise":
            self.c = self.o = self.groups = rng.choice((16, 32, 64, 72, 130, 7))
        elif kind == "grouped":
            self.groups = rng.choice((2, 4))
            self.c, self.o = 8 * self.groups * rng.choice((1, 2)), 6 * self.groups * rng.choice((1, 3))
        elif kind == "first":
            self.c, self.kernel, self.stride = 3, 3, 2
        elif kind == "square" and rng.random() < 0.3:
            self.dilation = 2
        self.h, self.w = rng.randint(9, 36), rng.randint(9, 40)
        top = self.kernel // 2 * self.dilation
        self.pads = [top, top, top, top] if rng.random() < 0.7 else [rng.randint(0, top) for _ in range(4)]

    def out(self, n, before, after):
        return (n + before + after - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def dims(self):
        return [1, self.o, self.out(self.h, self.pads[0], self.pads[2]), self.out(self.w, self.pads[1], self.pads[3])]

    def weights(self):
        return [self.o, self.c // self.groups, self.kernel, self.kernel]

    def attributes(self):
        return [ints_attribute("kernel_shape", [self.kernel] * 2), ints_attribute("strides", [self.stride] * 2),
                ints_attribute("pads", self.pads), ints_attribute("dilations", [self.dilation] * 2),
                int_attribute("group", self.groups)]


def qconv(rng):
    conv = Conv(rng)
    x_type, w_type = rng.choice((U8, U8, I8)), rng.choice((I8, I8, I8, U8))
    dims = conv.weights()
    k = dims[1] * dims[2] * dims[3]
    per_channel = w_type == I8
    n = conv.o if per_channel else 1
    w_scale = [rng.uniform(0.002, 0.01) for _ in range(n)]
    w_zero = [0] * n if per_channel else [rng.randint(0, 255)]
    x_scale = rng.uniform(0.005, 0.05)
    y_scale = x_scale * 0.006 * 90 * 80 * math.sqrt(k) / 60
    wild = rng.choice((0.05, 0.5, 1.0))
    constants = [
        tensor("xs", F32, [], [x_scale]), tensor("xz", x_type, [], [zero_of(rng, x_type)]),
        tensor("w", w_type, dims, [byte(rng, w_type, wild) for _ in range(conv.o * k)]),
        tensor("ws", F32, [n] if per_channel else [], w_scale), tensor("wz", w_type, [n] if per_channel else [], w_zero),
        tensor("ys", F32, [], [y_scale]), tensor("yz", x_type, [], [zero_of(rng, x_type)]),
        tensor("b", I32, [conv.o], [rng.randint(-20000, 20000) for _ in range(conv.o)])]
    layer = node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], "conv", conv.attributes())
    return model([layer], [value_info("x", [1, conv.c, conv.h, conv.w], x_type)],
                 [value_info("y", conv.dims(), x_type)], constants), math.prod(conv.dims())


def qmatmul(rng):
    m, k, n = rng.randint(1, 70), rng.choice((1, 3, 64, 200, 513)), rng.choice((1, 10, 64, 130))
    dtype = rng.choice((U8, I8))
    wild = rng.choice((0.05, 1.0))
    constants = [tensor("xs", F32, [], [0.02]), tensor("xz", dtype, [], [zero_of(rng, dtype)]),
                 tensor("w", I8, [k, n], [byte(rng, I8, wild) for _ in range(k * n)]),
                 tensor("ws", F32, [], [0.004]), tensor("wz", I8, [], [0]),
                 tensor("ys", F32, [], [0.02 * 0.004 * 100 * math.sqrt(k)]), tensor("yz", dtype, [], [zero_of(rng, dtype)])]
    layer = node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"], "matmul")
    return model([layer], [value_info("x", [m, k], dtype)], [value_info("y", [m, n], dtype)], constants), m * n


def residual(rng):
    """DequantizeLinear -> Conv -> Add -> Relu -> QuantizeLinear, as a quantiser writes it."""
    c, side = rng.choice((16, 24, 64)), rng.randint(7, 30)
    scales = [struct.unpack("f", struct.pack("f", rng.uniform(0.002, 0.01)))[0] for _ in range(c)]
    constants = [tensor("xs", F32, [], [0.03125]), tensor("xz", U8, [], [rng.randint(0, 255)]),
                 tensor("w", I8, [c, c, 1, 1], [byte(rng, I8, 0.3) for _ in range(c * c)]),
                 tensor("ws", F32, [c], scales), tensor("wz", I8, [c], [0] * c),
                 tensor("b", I32, [c], [rng.randint(-5000, 5000) for _ in range(c)]),
                 tensor("bs", F32, [c], [0.03125 * s for s in scales]), tensor("bz", I32, [c], [0] * c),
                 tensor("ms", F32, [], [0.11]), tensor("mz", U8, [], [rng.randint(0, 255)]),
                 tensor("ys", F32, [], [0.13]), tensor("yz", U8, [], [rng.randint(0, 255)])]
    layers = [node("DequantizeLinear", ["x", "xs", "xz"], ["xf"], "dx"),
              node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], "dw", [int_attribute("axis", 0)]),
              node("DequantizeLinear", ["b", "bs", "bz"], ["bf"], "db", [int_attribute("axis", 0)]),
              node("Conv", ["xf", "wf", "bf"], ["c"], "conv"),
              node("QuantizeLinear", ["c", "ms", "mz"], ["cq"], "qc"), node("DequantizeLinear", ["cq", "ms", "mz"], ["cf"], "dc"),
              node("Add", ["cf", "xf"], ["a"], "add"), node("Relu", ["a"], ["r"], "relu"),
              node("QuantizeLinear", ["r", "ys", "yz"], ["y"], "qy")]
    dims = [1, c, side, side]
    return model(layers, [value_info("x", dims, U8)], [value_info("y", dims, U8)], constants), c * side * side


def fconv(rng):
    conv = Conv(rng)
    dims = conv.weights()
    k = dims[1] * dims[2] * dims[3]
    spread = 1 / math.sqrt(k)
    constants = [floats("w", dims, [rng.uniform(-spread, spread) for _ in range(conv.o * k)]),
                 floats("b", [conv.o], [rng.uniform(-1, 1) for _ in range(conv.o)])]
    layer = node("Conv", ["x", "w", "b"], ["y"], "conv", conv.attributes())
    return model([layer], [value_info("x", [1, conv.c, conv.h, conv.w])], [value_info("y", conv.dims())],
                 constants), math.prod(conv.dims())


def write(folder, seed, outputs, kinds):
    """Models into folder until they have this many outputs in all; their paths."""
    rng, paths, total = random.Random(seed), [], 0
    while total < outputs:
        kind = rng.choice(kinds)
        data, count = kind(rng)
        path = pathlib.Path(folder) / f"{kind.__name__}-{len(paths):04}.onnx"
        path.write_bytes(data)
        paths.append(path)
        total += count
    return paths


INTEGER = (qconv, qconv, qconv, qmatmul, residual)
FLOAT = (fconv,)
