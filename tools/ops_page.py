#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/ops.md from the program's own tables of operators.

Usage: ops_page.py LEDGE PAGE            write the page
       ops_page.py LEDGE PAGE --check    exit 1 when the page does not say what the program can do (a test)
"""
import json
import pathlib
import subprocess
import sys

TITLES = {"ai.onnx": "ONNX", "ai.onnx.ml": "ONNX, classical learning", "com.microsoft": "ONNX Runtime's own, as its quantiser writes them",
          "ai.onnx.preview": "ONNX, preview", "ai.onnx.preview.training": "ONNX, training",
          "tfl": "TFLite's integer arithmetic (its other operators become those of ONNX when a file is read)"}
INTRO = """# Operators

What the engine runs, written by `tools/ops_page.py` from the tables in `src/engine/ops`; do not edit, a test compares. `ledge check MODEL --nodes`
says for one model which kernel takes each node, what is fused, and what is slow; `ledge check --operators` prints this list.

Nodes that vanish when a model is opened (constants, a batch norm or activation behind a convolution, QuantizeLinear and DequantizeLinear around an
operator that has an integer form) need no operator at all. How numbers are computed in each type: [numerics](numerics.md). A type or shape that an
operator does not take is refused by a line that names the node.

Values are tensors, sequences of them and optionals; maps are not among them. So ZipMap gives its scores as the tensor that they are (columns in the
order of its labels), and a file whose inputs are maps (CastMap and DictVectorizer take nothing else) is refused by the name of the input.

Gradient (`ai.onnx.preview.training`) needs no kernel: when a file is read its nodes become those that compute the derivative, of any order and with
any values in place of `xs` and `zs`. Rules: Abs, Add, Cast, CastLike, Clip, Concat, Cos, Div, Dropout, Elu, Erf, Exp, Expand, Flatten, Gemm, Identity,
LeakyRelu, Log, LogSoftmax, MatMul, Max and Min of two, Mean, Mul, Neg, Pow, Reciprocal, ReduceMean, ReduceSum, ReduceSumSquare, Relu, Reshape, Sigmoid,
Sin, Softmax, Softplus, Sqrt, Squeeze, Sub, Sum, Tanh, Transpose, Unsqueeze, Where; another operator between x and y is refused by name.
"""


def page(report):
    groups = {}
    for entry in report["operators"]:
        groups.setdefault(entry["domain"], set()).add(entry["operator"])
    out = [INTRO]
    for domain in sorted(groups, key=lambda d: (list(TITLES).index(d) if d in TITLES else len(TITLES), d)):
        names = sorted(groups[domain], key=str.lower)
        out += [f"## `{domain}`: {len(names)} operators", "", TITLES.get(domain, domain) + ":", "", ", ".join(names) + ".", ""]
    read, refused = (sorted(set(report["tflite"][k]) - {"PLACEHOLDER_FOR_GREATER_OP_CODES", "DELEGATE"}) for k in ("read", "refused"))
    out += [f"## TFLite's builtins: {len(read)} of {len(read) + len(refused)} are read", "", "Read:", "", ", ".join(read) + ".", "",
            "Refused, by name (besides those of StableHLO):", "", ", ".join(refused) + ".", "",
            "SVDF, the sequence LSTM and variables inside of IF and WHILE are refused, as is the LSTM in 8-bit integers but for its form with a 16-bit cell",
            "and without peepholes, projection and layer normalisation.", ""]
    return "\n".join(out)


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--check"]):
        sys.exit(__doc__)
    report = json.loads(subprocess.run([sys.argv[1], "check", "--operators", "--json"], capture_output=True, text=True, check=True).stdout)
    path, text = pathlib.Path(sys.argv[2]), page(report)
    if len(sys.argv) == 3:
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        sys.exit(f"{path} is stale: run tools/ops_page.py {sys.argv[1]} {path}")


main()
