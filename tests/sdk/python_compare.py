# SPDX-License-Identifier: Apache-2.0
"""The outputs that python_checks.py kept, beside those of ONNX Runtime on the same inputs: within 1e-4 of the output's
range.

Usage: python_compare.py MODELS OUT
"""
import pathlib
import sys

import numpy
import onnxruntime


def worst_of(path, kept):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {key[3:]: kept[key] for key in kept.files if key.startswith("in ")}
    try:
        results = session.run(None, feed)
    except Exception as error:  # random values need not make sense to a model
        print(f"{path}: ONNX Runtime refuses the inputs: {str(error).splitlines()[0][:150]}")
        return None
    worst = 0.0
    for entry, theirs in zip(session.get_outputs(), results):
        if not isinstance(theirs, numpy.ndarray) or theirs.dtype.kind not in "fiub":
            continue
        mine = kept[f"out {entry.name}"]
        assert mine.shape == theirs.shape, f"{path} {entry.name}: {mine.shape}, not {theirs.shape}"
        span = max(float(numpy.ptp(theirs.astype(float))), 1e-3)
        worst = max(worst, float(numpy.max(numpy.abs(mine.astype(float) - theirs.astype(float)), initial=0)) / span)
    return worst


def main():
    models, out = map(pathlib.Path, sys.argv[1:3])
    count = 0
    for path in sorted([*models.glob("onnx/*.onnx"), *models.glob("onnx/*/model.onnx")]):
        name = path.parent.name if path.name == "model.onnx" else path.stem
        kept = out / f"{name}.onnx.npz"
        if kept.exists():
            worst = worst_of(path, numpy.load(kept))
            assert worst is None or worst <= 1e-4, f"{name}: {worst:.2e} of its range away"
            count += worst is not None
    assert count >= 15, f"only {count} models were compared"
    print(f"{count} models agree with ONNX Runtime {onnxruntime.__version__}")


main()
