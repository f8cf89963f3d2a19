#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Libraries of named sets (-DLEDGE_OPS=set:NAME) for AVX2 alone: they are small, and every model of the set answers as with
the whole library, byte for byte. vision and audio take finished files (LEDGE_PACKED); models that no packed file can be
made of without shapes are said. edge does, too, and once more takes all models as ONNX and TFLite files; those for which
shapes and inputs made from a seed will not do are refused with the same line, and the speech detector among them runs in
its own test's way.

Usage: sets_test.py CC LEDGE WHOLE_LIBRARY MODELS_FOLDER
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import make_sets  # noqa: E402

LIMITS = (  # set, bytes stripped, packed files only, how many models run at least
    ("vision", 365_000, True, 31),
    ("audio", 365_000, True, 14),
    ("edge", 400_000, True, 55),
    ("edge", 510_000, False, 56),
)


def run(*command, ok=True, **environment):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, **environment})
    assert not ok or done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr if done.returncode else done.stdout


def build(folder, compiler, words, packed):
    run("cmake", "-S", ROOT, "-B", folder, f"-DCMAKE_C_COMPILER={compiler}", "-DLEDGE_LIBRARY_ONLY=ON",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DLEDGE_RUNGS=avx2", "-DLEDGE_BASELINE=avx2", f"-DLEDGE_OPS={words}",
        f"-DLEDGE_PACKED={'ON' if packed else 'OFF'}")
    run("cmake", "--build", folder, "--target", "libledge", "-j", str(os.cpu_count() or 1))
    run("strip", "-o", folder / "stripped.so", folder / "lib/libledge.so")
    return (folder / "stripped.so").stat().st_size


def main():
    compiler, ledge, whole, models = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).parent, pathlib.Path(sys.argv[4])
    if not models.is_dir() or " avx2" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("skipped: needs the models of ../shared/data and a processor with AVX2")
        return 77
    print(run(sys.executable, ROOT / "tools/make_sets.py", ledge, models, "--check"), end="")
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run(compiler, "-O2", f"-I{ROOT / 'include'}", ROOT / "tests/identity/identity.c", "-o", folder / "identity", f"-L{whole}",
            "-lledge")
        for set_name, limit, packed, at_least in LIMITS:
            words = f"set:{set_name}" + ("" if packed else ",import:onnx,import:tflite,without:part:consistent")
            size = build(folder / set_name, compiler, words, packed)
            same = 0
            for model in make_sets.models_of(ROOT / f"cmake/sets/{set_name}.txt"):
                path = models / model
                if packed:
                    path = folder / "model.ledge"
                    run(ledge, "convert", models / model, "-o", path, "--target", "avx2")
                    if "packed:avx2" not in run(ledge, "check", "--needs", path, "--target", "avx2").split():
                        print(f"{set_name}: {model} cannot be packed: its shapes are not in the file, or some are known in a run only")
                        continue
                answers = [run(folder / "identity", 1, "-", path, ok=False, LD_LIBRARY_PATH=str(library), LEDGE_CPU="avx2")
                           for library in (whole, folder / set_name / "lib")]
                failed += answers[0] != answers[1]
                same += answers[0] == answers[1] and len(answers[0].splitlines()[0].split()) == 5
                if answers[0] != answers[1]:
                    print(f"{set_name}: {model}: {answers[0]} but {answers[1]}")
            print(f"libledge {words}{', packed' if packed else ''}: {size} bytes stripped, at most {limit}; "
                  f"{same} models answer as with the whole library, at least {at_least}")
            failed += size > limit or same < at_least
            if not packed:
                speech = subprocess.run([sys.executable, ROOT / "tests/models_onnx/speech_test.py",
                                         folder / set_name / "lib/libledge.so", models.parent, ROOT / "build/testenv"], check=False)
                failed += speech.returncode not in (0, 77)
    return 1 if failed else 0


sys.exit(main())
