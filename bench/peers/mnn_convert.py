# SPDX-License-Identifier: Apache-2.0
"""BASE.onnx -> BASE.mnn by the extension module of MNN's converter (its wrapper, MNN.tools, reports to its maker over the network).

Usage: mnn_convert.py BASE
"""
import sys

import _tools

base = sys.argv[1]
_tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", base + ".onnx", "--MNNModel", base + ".mnn", "--bizCode", "bench"])
