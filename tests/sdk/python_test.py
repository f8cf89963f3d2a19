#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package from a fresh virtual environment: `pip wheel` makes one wheel for the platform, `pip install` puts it
in, and the checks run there; what the models of the shared data gave is compared with ONNX Runtime.

Usage: python_test.py DATA TESTENV        skipped (77) without a package index for numpy and setuptools
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import tiny_onnx  # noqa: E402


def run(*command, cwd=None):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LEDGE_LIBRARY")}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=800, check=False,
                          cwd=cwd, env=environment)


def must(*command, cwd=None):
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def fresh_environment(folder):
    """python of a new environment with numpy; None when there is no index."""
    base = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
    must(base, "-m", "venv", folder / "venv")
    python = folder / "venv/bin/python"
    done = run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy")
    return python if done.returncode == 0 else None


def check_wheel(python, folder):
    must(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check", "-w", folder / "wheels",
         ROOT / "sdk/python")
    wheel, = (folder / "wheels").iterdir()
    assert wheel.name.startswith("ledge-") and "-py3-none-linux_" in wheel.name, wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("ledge/__init__.py", "ledge/libledge.so", "ledge/py.typed"):
        assert name in names, f"{name} is not in {wheel.name}"
    print(f"{wheel.name}: {wheel.stat().st_size // 1000} kB")


def main():
    data, testenv = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        python = fresh_environment(folder)
        if python is None:
            print("skipped: no package index to install numpy from")
            return 77
        check_wheel(python, folder)
        must(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT / "sdk/python")
        out = folder / "out"
        out.mkdir()
        (out / "free.onnx").write_bytes(tiny_onnx.conv_of(0.5, 1.0, side=5, layers=3))
        (out / "late.onnx").write_bytes(tiny_onnx.model(
            [tiny_onnx.node("NonZero", ["x"], ["y"], "nonzero")], [tiny_onnx.value_info("x", [4])],
            [tiny_onnx.value_info("y", [1, "n"], 7)], []))
        here = pathlib.Path(__file__).parent
        must(python, here / "python_checks.py", ROOT / "fuzz/seeds/onnx", data / "models", out, cwd=folder)
        said = must(python, ROOT / "examples/python/predict.py", ROOT / "fuzz/seeds/onnx/conv.onnx", cwd=folder)
        assert said.startswith("input x float32 [1, 1, 4, 4]\noutput y float32"), said
        models = json.loads((out / "said.json").read_text())
        ran = [name for name, line in models.items() if line == "ok"]
        for name, line in models.items():
            if line != "ok":
                print(f"{name}: {line}")
        print(f"{len(ran)} of {len(models)} models run")
        if models:
            assert len(ran) >= 35, "models that ran before are refused"
            if (testenv / "bin/python").exists():
                print(must(testenv / "bin/python", here / "python_compare.py", data / "models", out).strip())
            else:
                print("not compared: no build/testenv (scripts/testenv)")
    return 0


sys.exit(main())
