#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write models with real architectures and random weights as ONNX, so that every figure can be had again without a download.

Usage: make_models.py FOLDER        makes mobilenet_v2.onnx (f32, 224x224, 300.8 MMAC), with the packages of build/testenv
Source of the architecture: Sandler et al., MobileNetV2 (2018), table 2.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INVERTED_RESIDUALS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class Net:
    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.n = [], [], 0

    def name(self, what):
        self.n += 1
        return f"{what}{self.n}"

    def constant(self, array):
        name = self.name("w")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, **attributes):
        out = self.name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def conv(self, x, c_in, c_out, k, stride=1, group=1, clip=True):
        fan_in = c_in // group * k * k
        w = self.random.standard_normal((c_out, c_in // group, k, k)) * np.sqrt(2 / fan_in)
        b = self.random.standard_normal(c_out) * 0.1
        y = self.node("Conv", [x, self.constant(w.astype(np.float32)), self.constant(b.astype(np.float32))],
                      kernel_shape=[k, k], strides=[stride, stride], pads=[k // 2] * 4, group=group)
        if clip:
            y = self.node("Clip", [y, self.constant(np.float32(0)), self.constant(np.float32(6))])
        return y

    def save(self, path, y, shape, classes):
        graph = helper.make_graph(
            self.nodes, pathlib.Path(path).stem, [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, [1, classes])], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="ledge-bench")
        model.ir_version = 7
        onnx.checker.check_model(model)
        onnx.save(model, path)


def mobilenet_v2(path):
    net = Net()
    y, c = net.conv("input", 3, 32, 3, 2), 32
    for expand, c_out, repeat, first_stride in INVERTED_RESIDUALS:
        for i in range(repeat):
            stride, x, wide = first_stride if i == 0 else 1, y, c * expand
            if expand > 1:
                y = net.conv(y, c, wide, 1)
            y = net.conv(y, wide, wide, 3, stride, wide)
            y = net.conv(y, wide, c_out, 1, clip=False)
            if stride == 1 and c == c_out:
                y = net.node("Add", [y, x])
            c = c_out
    y = net.conv(y, c, 1280, 1)
    y = net.node("Flatten", [net.node("GlobalAveragePool", [y])], axis=1)
    w = net.random.standard_normal((1000, 1280)).astype(np.float32) * 0.03
    y = net.node("Gemm", [y, net.constant(w), net.constant(np.zeros(1000, np.float32))], transB=1)
    net.save(path, y, [1, 3, 224, 224], 1000)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
    folder.mkdir(parents=True, exist_ok=True)
    mobilenet_v2(str(folder / "mobilenet_v2.onnx"))


main()
