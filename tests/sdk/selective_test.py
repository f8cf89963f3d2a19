#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Libraries with what one model needs only (-DLEDGE_OPS): they answer as the whole one does, byte for byte, on every rung
they have; they refuse other models, formats and processors in one line; they are small. The packed ones (LEDGE_PACKED,
LEDGE_BASELINE) are for MobileNetV2 in 8 bits where bench/peers/setup has made it, else for a seed.

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
            "-DCMAKE_BUILD_TYPE=Release", f"-DLEDGE_OPS={model}", f"-DLEDGE_HOST_LEDGE={ledge}", *options)
        run("cmake", "--build", folder, "--target", "libledge", "-j", str(os.cpu_count() or 1))
        self.path = folder / "lib"
        run("strip", "-o", folder / "stripped.so", self.path / "libledge.so")
        self.size = (folder / "stripped.so").stat().st_size


def refuses(identity, library, model, why, *options, **environment):
    said = run(identity, *options, 1, "-", model, ok=False, LD_LIBRARY_PATH=str(library.path), **environment)
    assert why in said, said


def test_packed(folder, compiler, ledge, whole, identity, rung):
    model, other = folder / "mobilenet_v2.i8.ledge", folder / "mnasnet1_0.i8.ledge"
    model = model if model.exists() else folder / "qdq.ledge"
    packed = Small(folder / rung, compiler, ledge, model, f"-DLEDGE_RUNGS={rung}", f"-DLEDGE_BASELINE={rung}", "-DLEDGE_PACKED=ON")
    print(f"libledge for {model.name}, packed, {rung} alone: {packed.size} bytes stripped")
    assert packed.size <= PACKED_LIMIT, f"{packed.size} bytes, at most {PACKED_LIMIT} are allowed"
    refuses(identity, packed, model, f"this build is for processors with {rung}", LEDGE_CPU="c")
    if rung == "avx512vnni" and "avx512_vnni" not in pathlib.Path("/proc/cpuinfo").read_text().split():
        return
    answers = [run(identity, threads, "-", model, LD_LIBRARY_PATH=str(library), LEDGE_CPU=rung)
               for library in (whole, packed.path) for threads in (1, 2)]
    assert answers[0].strip() and len(set(answers)) == 1, answers
    refuses(identity, packed, SEEDS / "qdq.onnx", f"this build opens .ledge files that its release packed for {rung}")
    refuses(identity, packed, folder / "lstm.ledge", "no kernel for 2 operators: LSTM, GRU")
    refuses(identity, packed, model, "this build has no consistent numerics", "--consistent")
    if model.stem != "qdq" and other.exists():  # the same operators, other windows
        refuses(identity, packed, other, "this build has no loops for its windows")


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
                run(ledge, "convert", source, "-o", folder / f"{source.stem}.ledge", "--target", "avx2",
                    "--target", "avx512vnni")
        qdq, lstm = folder / "qdq.ledge", folder / "lstm.ledge"

        said = run(ledge, "check", "--needs", qdq, "--target", "avx2,none-such", ok=False)
        assert "--target none-such: this program has no such kernels" in said, said

        small = Small(folder / "a", compiler, ledge, qdq, "-DLEDGE_RUNGS=avx2")
        assert small.size <= LIMIT, f"{small.size} bytes, at most {LIMIT} are allowed"
        answers = [run(identity, threads, "-", qdq, LD_LIBRARY_PATH=str(library), LEDGE_CPU=rung)
                   for library in (whole, small.path) for rung in ("c", "avx2") for threads in (1, 2)]
        assert answers[0].strip() and len(set(answers)) == 1, answers
        refuses(identity, small, SEEDS / "qdq.onnx", "this build reads no ONNX files")
        refuses(identity, small, lstm, "no kernel for 2 operators: LSTM, GRU")
        print(f"libledge for qdq.ledge, avx2 and plain C: {small.size} bytes stripped")

        for rung in ("avx2", "avx512vnni"):
            test_packed(folder, compiler, ledge, whole, identity, rung)
    return 0


sys.exit(main())
