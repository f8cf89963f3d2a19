#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run `ledge verify` over the ONNX backend tests and the models with known answers.

No answer may be wrong, nothing may crash, and as many must pass as PASSES says: a number that only goes up.
Exit code 77 when the data is not there (set LEDGE_DATA, or --data).
"""
import argparse
import array
import json
import math
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PASSES = {"node": 1756, "pytorch-operator": 35, "pytorch-converted": 80, "simple": 23, "light": 9}
# Whole models: sums of many terms, in an order of our own.
MODELS = {"mnist_8": 1e-7, "super_resolution_10": 1e-5, "tract_deconv_group": 1e-7, "tract_lgbm_classifier_tensor": 1e-7}


IMAGE_DECODERS = 6  # more of "node" with libledge_image.so: JPEG (3), PNG, BMP, PPM; not TIFF, WebP, JPEG 2000


def verify(ledge, folder, *options):
    done = subprocess.run([ledge, "verify", str(folder), "--json", *options], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{folder}: ledge ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def floats(dims, values):
    """TensorProto of FLOAT with raw data; each part is shorter than 2^28 bytes."""
    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)
    raw = array.array("f", values).tobytes()
    return b"".join(b"\x08" + varint(d) for d in dims) + b"\x10\x01\x4a" + varint(len(raw)) + raw


def give_inputs(ledge, folder):
    """Light models come with answers only: the input of n elements is 0, 1 / n, 2 / n, ... (ONNX's backend runner)."""
    for path in sorted(folder.rglob("light_*.onnx")):
        case = folder / "cases" / path.stem
        (case / "test_data_set_0").mkdir(parents=True)
        told = json.loads(subprocess.run([ledge, "inspect", str(path), "--json"], capture_output=True, check=True).stdout)
        for i, value in enumerate(told["inputs"]):
            n = math.prod(value["dims"])
            data = floats(value["dims"], (k / n for k in range(n)))
            (case / "test_data_set_0" / f"input_{i}.pb").write_bytes(data)
        path.with_name(f"{path.stem}_output_0.pb").rename(case / "test_data_set_0" / "output_0.pb")
        path.rename(case / "model.onnx")


def check_archive(ledge, archive, name, library):
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)
        if name == "light":
            give_inputs(ledge, pathlib.Path(folder))
        report = verify(ledge, folder, *(["--ops-library", library] if library else []))
    print(f"{name}: {report['pass']} of {report['cases']} pass, {report['unsupported']} unsupported, "
          f"{report['wrong']} wrong, {report['broken']} broken")
    for case in report["results"]:
        if case["verdict"] in ("wrong", "broken"):
            print(f"  {case['verdict']} {case['path']}: {case['why']}")
    return report["wrong"] == 0 and report["broken"] == 0 and report["pass"] >= PASSES[name] + (IMAGE_DECODERS if library and name == "node" else 0)


def check_model(ledge, folder, atol):
    report = verify(ledge, folder, "--atol", str(atol))
    result = report["results"][0]
    print(f"{folder.name}: {result['verdict']}, {result['sets']} data sets, greatest error {result['max_abs_error']:.3g}")
    return report["pass"] == 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledge", required=True)
    parser.add_argument("--data", default="")
    parser.add_argument("--image-library", default="", help="libledge_image.so")
    parser.add_argument("--quick", action="store_true", help="leave out models that take minutes under sanitizers")
    options = parser.parse_args()
    data = pathlib.Path(os.environ.get("LEDGE_DATA", options.data))
    good, seen = True, 0
    for name in PASSES:
        archive = data / f"conformance/onnx-1.22-{name}.tar.xz"
        if archive.exists():
            seen += 1
            good = check_archive(options.ledge, archive, name, options.image_library) and good
    for name, atol in MODELS.items():
        folder = data / "models/onnx" / name
        if folder.exists() and not (options.quick and name == "super_resolution_10"):
            seen += 1
            good = check_model(options.ledge, folder, atol) and good
    if seen == 0:
        print(f"skipped: no test data under {data}")
        return 77
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
