#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Known answers of ONNX models, and every other model beside ONNX Runtime on random inputs.

Usage: models_test.py LEDGE DATA TESTENV

A model either runs and agrees within 1e-4 of its output's range, or `ledge check` refuses it with exit code 1 and one line that
names each missing operator.
"""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import testenv  # noqa: E402

# Shapes of inputs that a model leaves free, where 1 makes no sense.
SHAPES = {"ppocr_en_number_v2_rec": {"x": [1, 3, 32, 96]}, "ppocr_en_v3_det": {"x": [1, 3, 96, 96]},
          "ppocr_v2_cls": {"x": [1, 3, 48, 192]}, "tract_qtdnn_10x5_101_i32_biases": {"input": [24, 10]},
          "silero_vad": {"input": [1, 576], "state": [2, 1, 128]},
          "silero_vad_16k_op15": {"input": [1, 576], "state": [2, 1, 128]}}
VALUES = {"sr": 16000}  # inputs that are settings: samples a second
SCALES = {"yunet_n_320_320": 255}  # takes pixels as they are
MNIST_IMAGES = 1000


def ledge(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300, check=False)


def first_images(data, folder):
    """The first 1000 test digits as IDX files of their own."""
    for name, header, each in (("t10k-images-idx3-ubyte", 16, 784), ("t10k-labels-idx1-ubyte", 8, 1)):
        raw = gzip.open(data / f"images/mnist/{name}.gz").read()
        cut = raw[:4] + MNIST_IMAGES.to_bytes(4, "big") + raw[8:header + MNIST_IMAGES * each]
        (folder / f"{name}.gz").write_bytes(gzip.compress(cut))
    return folder / "t10k-images-idx3-ubyte.gz"


def known_answers(program, data, folder):
    # A picture of numbers from -0.49 to 1.71: rounding in its middle layers is no smaller near zero.
    for name, atol in (("mnist_8", 1e-7), ("super_resolution_10", 2e-6)):
        done = ledge(program, "verify", data / "models/onnx" / name, "--atol", atol)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        print(f"{name}: {done.stdout.strip().splitlines()[-1]}")
    raw_pixels = json.dumps({"width": 28, "height": 28, "channels": 1, "mean": [0], "std": [1 / 255]})
    done = ledge(program, "evaluate", data / "models/onnx/mnist_8/model.onnx", "--data", first_images(data, folder),
                 "--split", "all", "--preprocess", raw_pixels, "--json")
    assert done.returncode == 0, done.stderr
    top1 = json.loads(done.stdout)["top1"]
    print(f"mnist_8 on t10k[:1000]: {100 * top1:.2f}% (expected 98.7)")
    assert abs(top1 - 0.987) <= 0.002


def compare(program, model, folder, numpy, runtime):
    """One line about the model; raises when it is wrong."""
    name = model.parent.name if model.name == "model.onnx" else model.stem
    shapes, flags = SHAPES.get(name, {}), []
    for entry, dims in shapes.items():
        flags += ["--shape", f"{entry}:{'x'.join(map(str, dims))}"]
    checked = ledge(program, "check", model, *flags)
    if checked.returncode == 1:
        lines = [line for line in (checked.stdout + checked.stderr).strip().splitlines() if line]
        assert len(lines) == 1, f"{name}: refused in {len(lines)} lines: {lines}"
        assert "missing" in lines[0], f"{name}: no operator is named: {lines[0]}"
        return f"{name}: refused: {lines[0].rsplit(': ', 2)[1]}: {lines[0].rsplit(': ', 2)[2]}"
    assert checked.returncode == 0, f"{name}: check ended with {checked.returncode}: {checked.stderr}"
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    random, feed, arguments = numpy.random.default_rng(7), {}, []
    for entry in session.get_inputs():
        dims = shapes.get(entry.name) or [d if isinstance(d, int) and 0 < d < 1 << 31 else 1 for d in entry.shape]
        values = random.random(dims, dtype=numpy.float32) * numpy.float32(SCALES.get(name, 1))
        if entry.name in VALUES:
            values = numpy.full(dims, VALUES[entry.name], numpy.int64)
        feed[entry.name] = values
        numpy.save(folder / f"{len(feed)}.npy", values)
        arguments += ["-i", f"{entry.name}={folder}/{len(feed)}.npy"]
    done = ledge(program, "run", model, *arguments, "-o", folder / "out.npz")
    assert done.returncode == 0, f"{name}: {done.stderr}"
    ours, worst = numpy.load(folder / "out.npz"), 0.0
    for entry, theirs in zip(session.get_outputs(), session.run(None, feed)):
        mine = ours[entry.name]
        assert mine.shape == theirs.shape, f"{name} {entry.name}: {mine.shape}, ONNX Runtime has {theirs.shape}"
        span = max(float(numpy.ptp(theirs)), 1e-3)
        worst = max(worst, float(numpy.max(numpy.abs(mine.astype(float) - theirs.astype(float)), initial=0)) / span)
    quantised = "quantized" in name or name.startswith("tract_q")
    assert worst <= (0.02 if quantised else 1e-4), f"{name}: off by {worst:.2e} of the output's range"
    return f"{name}: agrees with ONNX Runtime, worst {worst:.1e} of the output's range"


def main():
    program, data, env = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    if not (data / "models/onnx").is_dir():
        print(f"skipped: {data}/models/onnx is not here")
        return 77
    testenv.enter(env)
    import numpy
    import onnxruntime
    models = sorted((data / "models/onnx").glob("*.onnx")) + sorted((data / "models/onnx").glob("*/model.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        known_answers(program, data, pathlib.Path(folder))
        for model in models:
            print(compare(program, model, pathlib.Path(folder), numpy, onnxruntime), flush=True)
    return 0


sys.exit(main())
