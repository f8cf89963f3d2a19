#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same integer answers on every instruction set, to the byte; float answers within a tolerance, and to the byte in
the consistent mode.

    identity_test.py --x86 PROGRAM [--arm PROGRAM] [--outputs N] [--data DIR]

PROGRAM is identity.c built for that processor; the aarch64 one runs under qemu-user. Each rung is forced by LEDGE_CPU; a
rung that the processor does not have is left out and named."""
import argparse
import array
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import float_nets
import nets

SKIPPED = 77
RUNGS = {"x86": ["c", "avx2", "avxvnni", "avx512", "avx512vnni"], "arm": ["c", "neon", "neon_dotprod", "neon_i8mm"]}
FLOAT_RUNGS = {"x86": ["c", "avx2", "avx512"], "arm": ["c", "neon"]}  # those with float kernels of their own
BATCH = 40  # models a process


def flags():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    return {word for line in text.splitlines() if line.startswith("flags") for word in line.split()}


def has(rung):
    need = {"c": [], "avx2": ["avx2", "fma"], "avxvnni": ["avx2", "fma", "avx_vnni"],
            "avx512": ["avx512f", "avx512bw", "avx512dq", "avx512vl"],
            "avx512vnni": ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"]}
    return set(need.get(rung, [])) <= flags()


def answers(program, rung, threads, models, dump, consistent=False):
    """{model and output: (dtype, elements, digest)}"""
    mode = ["--consistent"] if consistent else []
    found = {}
    for at in range(0, len(models), BATCH):
        done = subprocess.run([*program, *mode, str(threads), str(dump or "-"), *map(str, models[at:at + BATCH])],
                              capture_output=True, text=True, env={**os.environ, "LEDGE_CPU": rung})
        if done.returncode != 0:
            raise SystemExit(f"{rung}: {' '.join(program)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        for line in done.stdout.splitlines():
            name, output, dtype, count, digest = line.split()
            found[f"{name}:{output}"] = (dtype, int(count), digest)
    return found


def largest_difference(a, b):
    """Over the largest value of a."""
    x, y = (array.array("f", path.read_bytes()) for path in (a, b))
    top = max(map(abs, x)) or 1.0
    return max(abs(p - q) for p, q in zip(x, y)) / top


def programs(options):
    for path in filter(None, (options.x86, options.arm)):
        if not pathlib.Path(path).exists():
            raise SystemExit(f"{path} is not built: cmake --build BUILD --target identity identity_aarch64")
    found = {"x86": [options.x86]} if options.x86 else {}
    if options.arm and shutil.which("qemu-aarch64-static"):
        found["arm"] = ["qemu-aarch64-static", "-cpu", "max", options.arm]
    return found


def integer_models(options, folder):
    models = nets.write(folder, options.seed, options.outputs, nets.INTEGER)
    tflite = pathlib.Path(options.data) / "models" / "tflite"
    for name in ("mlperf_kws_int8", "mlperf_ic_resnet8_int8", "mobilenet_v1_0.25_224_quant", "tflm_person_detect"):
        if (tflite / f"{name}.tflite").exists():
            models.append(tflite / f"{name}.tflite")
    return models


def check_integer(options, folder, runners):
    models = integer_models(options, folder)
    judge, failed, compared = None, 0, 0
    for cpu, program in runners.items():
        for rung in RUNGS[cpu]:
            if cpu == "x86" and not has(rung):
                print(f"left out: this processor has no {rung}")
                continue
            found = answers(program, rung, 1, models, None)
            if judge is None:
                judge = found
                print(f"{sum(n for t, n, _ in judge.values() if t in ('u8', 'i8'))} integer outputs of {len(models)} models")
                continue
            wrong = [name for name in judge if found.get(name) != judge[name]]
            compared += sum(n for _, n, _ in found.values())
            failed += len(wrong)
            print(f"{cpu} {rung}: {'the same bytes' if not wrong else 'DIFFERENT: ' + ', '.join(wrong[:8])}")
    print(f"{compared} outputs compared with plain C")
    return failed


def check_float(options, folder, runners):
    models = nets.write(folder, options.seed + 1, min(options.outputs, 400000), nets.FLOAT)
    judge, failed = None, 0
    for cpu, program in runners.items():
        for rung in RUNGS[cpu]:
            if cpu == "x86" and not has(rung):
                continue
            dump = folder / f"{cpu}-{rung}"
            dump.mkdir()
            one = answers(program, rung, 1, models, dump)
            if answers(program, rung, 2, models, None) != one:
                print(f"{cpu} {rung}: DIFFERENT answers on two threads")
                failed += 1
            if judge is None:
                judge = dump
                continue
            worst = max(largest_difference(judge / path.name, path) for path in sorted(dump.iterdir()))
            failed += worst > 1e-5
            print(f"{cpu} {rung}: float within {worst:.1e} of plain C, the same on two threads")
    return failed


def float_models(options, folder):
    models = float_nets.write(folder) + nets.write(folder, options.seed + 2, min(options.outputs, 400000), nets.FLOAT)
    for name in ("onnx/dtln_model_1.onnx", "onnx/dtln_model_2.onnx", "onnx/fastestdet.onnx", "onnx/yunet_n_320_320.onnx",
                 "tflite/mobilenet_v1_0.25_224_float.tflite", "tflite/tflm_mnist_lstm.tflite",
                 "tflite/mlperf_ic_resnet8_float.tflite"):
        path = pathlib.Path(options.data) / "models" / name
        models += [path] if path.exists() else []
    return models


def check_consistent(options, folder, runners):
    models = float_models(options, folder)
    judge, failed = None, 0
    for cpu, program in runners.items():
        for rung in FLOAT_RUNGS[cpu]:
            if cpu == "x86" and not has(rung):
                continue
            for threads in (1, 2) if rung == FLOAT_RUNGS[cpu][-1] else (1,):
                found = answers(program, rung, threads, models, None, consistent=True)
                judge = judge or found
                wrong = [name for name in judge if found.get(name) != judge[name]]
                failed += len(wrong)
                print(f"consistent, {cpu} {rung}, {threads} threads: "
                      + (f"DIFFERENT: {', '.join(wrong[:8])}" if wrong else
                         f"{sum(n for _, n, _ in found.values())} floats of {len(models)} models, the same bytes"))
    return failed


def check_all(options, folder, runners):
    return check_integer(options, folder, runners) + check_float(options, folder, runners)


CHECKS = {"all": check_all, "consistent": check_consistent}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--x86")
    parser.add_argument("--arm")
    parser.add_argument("--outputs", type=int, default=400000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", default=os.environ.get("LEDGE_DATA", "../shared/data"))
    parser.add_argument("--only", choices=sorted(CHECKS), default="all")
    options = parser.parse_args()
    runners = programs(options)
    if not runners:
        print("skipped: no program for this processor, or no qemu-aarch64-static")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="ledge-identity-") as place:
        folder = pathlib.Path(place)
        return 1 if CHECKS[options.only](options, folder, runners) else 0


if __name__ == "__main__":
    sys.exit(main())
