#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train, quantise, evaluate; then ask ONNX Runtime the same questions.

    onnxruntime_test.py LEDGE PYTHON_WITH_ONNXRUNTIME DATA

For MNIST and for the signs: the int8 file passes ONNX's checker, its top-1 in ONNX Runtime is ours on >= 99.9 % of the
pictures, and int8 costs at most 1.0 point against float.
"""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77

CASES = {
    "mnist": {
        "train": "images/mnist/train20k-images-idx3-ubyte.gz",
        "test": "images/mnist/t10k-images-idx3-ubyte.gz",
        "split": "all",
        "recipe": "data: {val_fraction: 0.1}\nmodel: {arch: lenet5}\ntrain: {epochs: 2, batch: 64, lr: 0.002}\n",
        "methods": ["mse", "minmax", "percentile"],
    },
    "signs": {
        "train": "images/sign-digits",
        "test": "images/sign-digits",
        "split": "all",
        "recipe": "data: {val_fraction: 0.2}\ninput: {width: 64, height: 64, channels: 1}\n"
        "model: {arch: cnn4}\ntrain: {epochs: 12, batch: 32, lr: 0.002}\n",
        "methods": ["mse"],
    },
}


def tool(ledge, *args):
    done = subprocess.run([ledge, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ledge {' '.join(map(str, args))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(case, method, ledge, data, folder, model):
    import numpy
    import onnx
    import onnxruntime

    int8, answers, inputs = folder / f"{method}.onnx", folder / "answers.csv", folder / "inputs.npy"
    test = data / case["test"]
    tool(ledge, "quantize", model, "--data", data / case["train"], "--method", method, "-o", int8)
    report = json.loads(
        tool(ledge, "evaluate", int8, "--champion", model, "--data", test, "--split", case["split"],
             "--answers", answers, "--inputs", inputs, "--json"))
    onnx.checker.check_model(onnx.load(int8), full_check=True)
    names = {node.op_type for node in onnx.load(int8).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= names, names

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    other = onnxruntime.InferenceSession(int8, options, providers=["CPUExecutionProvider"])
    name = other.get_inputs()[0].name
    theirs = [report["labels"][int(other.run(None, {name: x[None]})[0].argmax())] for x in numpy.load(inputs)]
    with open(answers, newline="") as file:
        ours = [line["answer"] for line in csv.DictReader(file)]
    assert len(ours) == len(theirs) == report["samples"], (len(ours), len(theirs), report["samples"])
    same = sum(a == b for a, b in zip(ours, theirs)) / len(ours)
    return same, report, int8.stat().st_size / model.stat().st_size


def main():
    ledge, python, data = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(os.environ.get("LEDGE_DATA", sys.argv[3]))
    if not python.exists():
        print(f"skipped: no {python}; run scripts/testenv")
        return SKIPPED
    if pathlib.Path(sys.executable) != python:
        os.execv(python, [str(python), __file__, *sys.argv[1:]])
    if not (data / CASES["mnist"]["test"]).exists():
        print(f"skipped: no data at {data}")
        return SKIPPED
    failed = False
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory(prefix="ledge-int8-") as place:
            folder = pathlib.Path(place)
            (folder / "recipe.yaml").write_text(case["recipe"])
            tool(ledge, "train", folder / "recipe.yaml", "--set", f"data.path={data / case['train']}", "--out", folder / "out")
            model = folder / "out" / "model.onnx"
            for method in case["methods"]:
                same, report, size = check(case, method, ledge, data, folder, model)
                good = same >= 0.999 and report["drop"] <= 0.01
                failed = failed or not good
                print(
                    f"{'ok' if good else 'FAILED'} {name} {method}: {report['samples']:.0f} pictures, int8 top-1 "
                    f"{100 * report['top1']:.2f} %, drop {100 * report['drop']:.2f} points, same answer as ONNX Runtime "
                    f"{100 * same:.3f} %, file {100 * size:.0f} % of float")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
