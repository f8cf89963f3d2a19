#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Libraries with what one model needs only (-DLEDGE_OPS): they answer as the whole one does, byte for byte, on every rung
they have; they refuse other models, formats and processors in one line; they are small. The second one (LEDGE_PACKED,
LEDGE_BASELINE) is for MobileNetV2 in 8 bits where bench/peers/setup has made it, else for a seed.

Usage: selective_test.py CC LEDGE WHOLE_LIBRARY
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = ROOT / "fuzz/seeds/onnx"
MODELS = ROOT / "build/peers/models"
LIMIT = 180_000  # bytes, stripped: a quantised convolutional network planned from its graph, with two rungs
PACKED_LIMIT = 150_000  # MobileNetV2 in 8 bits, packed, with one rung


def run(*command, ok=True, **environment):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=840, check=False,
                          env={**os.environ, **environment})
    assert (done.returncode == 0) == ok, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if ok else done.stdout + done.stderr


class Small:
    """A library for one model."""

    def __init__(self, folder, compiler, ledge, model, *options):
        run("cmake", "-S", ROOT, "-B", folder, f"-DCMAKE_C_COMPILER={compiler}", "-DLEDGE_LIBRARY_ONLY=ON",
            "-DCMAKE_BUILD_TYPE=Release", f"-DLEDGE_OPS={model}", f"-DLEDGE_HOST_LEDGE={ledge}", "-DLEDGE_RUNGS=avx2", *options)
        run("cmake", "--build", folder, "--target", "libledge", "-j", str(os.cpu_count() or 1))
        self.path = folder / "lib"
        run("strip", "-o", folder / "stripped.so", self.path / "libledge.so")
        self.size = (folder / "stripped.so").stat().st_size


def refuses(identity, library, model, why, *options, **environment):
    said = run(identity, *options, 1, "-", model, ok=False, LD_LIBRARY_PATH=str(library.path), **environment)
    assert why in said, said


def main():
    compiler, ledge, whole = sys.argv[1:]
    whole = pathlib.Path(whole).parent
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        identity = folder / "identity"
        run(compiler, "-O2", f"-I{ROOT / 'include'}", ROOT / "tests/identity/identity.c", "-o", identity, f"-L{whole}", "-lledge")
        mobilenet = MODELS / "mobilenet_v2.i8.onnx"
        for source in (SEEDS / "qdq.onnx", SEEDS / "lstm.onnx", mobilenet, MODELS / "mnasnet1_0.i8.onnx"):
            if source.exists():
                run(ledge, "convert", source, "-o", folder / f"{source.stem}.ledge", "--target", "avx2")
        qdq, lstm = folder / "qdq.ledge", folder / "lstm.ledge"

        said = run(ledge, "check", "--needs", qdq, "--target", "avx2,none-such", ok=False)
        assert "--target none-such: this program has no such kernels" in said, said

        small = Small(folder / "a", compiler, ledge, qdq)
        assert small.size <= LIMIT, f"{small.size} bytes, at most {LIMIT} are allowed"
        answers = [run(identity, threads, "-", qdq, LD_LIBRARY_PATH=str(library), LEDGE_CPU=rung)
                   for library in (whole, small.path) for rung in ("c", "avx2") for threads in (1, 2)]
        assert answers[0].strip() and len(set(answers)) == 1, answers
        refuses(identity, small, SEEDS / "qdq.onnx", "this build reads no ONNX files")
        refuses(identity, small, lstm, "no kernel for 2 operators: LSTM, GRU")
        print(f"libledge for qdq.ledge, avx2 and plain C: {small.size} bytes stripped")

        model = folder / "mobilenet_v2.i8.ledge" if mobilenet.exists() else qdq
        packed = Small(folder / "b", compiler, ledge, model, "-DLEDGE_PACKED=ON", "-DLEDGE_BASELINE=avx2")
        assert packed.size <= PACKED_LIMIT, f"{packed.size} bytes, at most {PACKED_LIMIT} are allowed"
        answers = [run(identity, threads, "-", model, LD_LIBRARY_PATH=str(library), LEDGE_CPU="avx2")
                   for library in (whole, packed.path) for threads in (1, 2)]
        assert answers[0].strip() and len(set(answers)) == 1, answers
        refuses(identity, packed, SEEDS / "qdq.onnx", "this build opens .ledge files that its release packed for avx2")
        refuses(identity, packed, lstm, "no kernel for 2 operators: LSTM, GRU")
        refuses(identity, packed, model, "this build has no consistent numerics", "--consistent")
        refuses(identity, packed, model, "this build is for processors with avx2", LEDGE_CPU="c")
        if mobilenet.exists() and (folder / "mnasnet1_0.i8.ledge").exists():  # the same operators, other windows
            refuses(identity, packed, folder / "mnasnet1_0.i8.ledge", "this build has no loops for its windows")
        print(f"libledge for {model.name}, packed, avx2 alone: {packed.size} bytes stripped")
    return 0


sys.exit(main())
