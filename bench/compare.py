#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ledge beside ONNX Runtime on one model, 1 thread, in pairs in the same minute; medians.

Usage: compare.py LEDGE MODEL.onnx [ROUNDS]     needs build/testenv for ONNX Runtime
"""
import json
import statistics
import subprocess
import sys
import time

RUNS = 40


def ledge_ms(program, model):
    done = subprocess.run([program, "bench", model, "--runs", str(RUNS), "--threads", "1", "--json"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["ms"]["p50"]


def peer(model):
    try:
        import numpy
        import onnxruntime
    except ImportError:
        return None, "ONNX Runtime (not installed)"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in entry.shape]
    feed = {entry.name: numpy.random.default_rng(1).random(shape, dtype=numpy.float32)}

    def once():
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            session.run(None, feed)
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)

    return once, f"ONNX Runtime {onnxruntime.__version__}"


def main():
    program, model = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    other, name = peer(model)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(ledge_ms(program, model))
        if other:
            theirs.append(other())
    line = f"{model.rsplit('/', 1)[-1]} f32, 1 thread: ledge {statistics.median(ours):.2f} ms"
    if theirs:
        line += f", {name} {statistics.median(theirs):.2f} ms, ratio {statistics.median(theirs) / statistics.median(ours):.2f}"
    print(line + f" (medians of {rounds} x {RUNS} runs)")


main()
