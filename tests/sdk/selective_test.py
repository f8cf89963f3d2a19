#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A library with the operators of one model only (-DLEDGE_OPS): it answers as the whole one does, byte for byte, on every
rung it has; it refuses other models and other formats in one line; it is small.

Usage: selective_test.py CC LEDGE WHOLE_LIBRARY
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = ROOT / "fuzz/seeds/onnx"
LIMIT = 240_000  # bytes, stripped, for a quantised convolutional network with two rungs


def run(*command, ok=True, **environment):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=540, check=False,
                          env={**os.environ, **environment})
    assert (done.returncode == 0) == ok, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if ok else done.stdout + done.stderr


def build(folder, compiler, ledge, model):
    run("cmake", "-S", ROOT, "-B", folder, f"-DCMAKE_C_COMPILER={compiler}", "-DLEDGE_LIBRARY_ONLY=ON",
        "-DCMAKE_BUILD_TYPE=Release", f"-DLEDGE_OPS={model}", f"-DLEDGE_HOST_LEDGE={ledge}", "-DLEDGE_RUNGS=avx2")
    run("cmake", "--build", folder, "--target", "libledge", "-j", str(os.cpu_count() or 1))
    return folder / "lib/libledge.so"


def main():
    compiler, ledge, whole = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for seed in ("qdq", "lstm"):
            run(ledge, "convert", SEEDS / f"{seed}.onnx", "-o", folder / f"{seed}.ledge")
        small = build(folder / "build", compiler, ledge, folder / "qdq.ledge")
        run("strip", "-o", folder / "stripped.so", small)
        size = (folder / "stripped.so").stat().st_size
        assert size <= LIMIT, f"{size} bytes, at most {LIMIT} are allowed"
        identity = folder / "identity"
        run(compiler, "-O2", f"-I{ROOT / 'include'}", ROOT / "tests/identity/identity.c", "-o", identity,
            f"-L{pathlib.Path(whole).parent}", "-lledge")
        answers = [run(identity, 1, "-", folder / "qdq.ledge", LD_LIBRARY_PATH=str(library.parent), LEDGE_CPU=rung)
                   for library in (pathlib.Path(whole), small) for rung in ("c", "avx2")]
        assert answers[0].strip() and len(set(answers)) == 1, answers
        for model, why in ((SEEDS / "qdq.onnx", "this build reads no ONNX files"),
                           (folder / "lstm.ledge", "no kernel for 2 operators: LSTM, GRU")):
            said = run(identity, 1, "-", model, ok=False, LD_LIBRARY_PATH=str(small.parent))
            assert why in said, said
        print(f"libledge for qdq.ledge, avx2 and plain C: {size} bytes stripped")
    return 0


sys.exit(main())
