#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Install libledge into a temporary prefix, move the tree, and build and run the examples outside of ours: once by
find_package, once by pkg-config, shared and static. What is installed shows only ledge_* and calls no network.

Usage: install_test.py BUILD CC CXX
"""
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "fuzz/seeds/onnx/conv.onnx"
sys.path.insert(0, str(ROOT / "tests/serve"))
import tiny_onnx  # noqa: E402

EXPECTED = ["input x f32 [", "output y f32 ["]


def run(*command, **environment):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=240, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def install(build, folder):
    """The prefix, after the installed tree was moved: nothing in it may know where it was."""
    run("cmake", "--install", build, "--prefix", folder / "first", "--component", "sdk")
    shutil.move(folder / "first", folder / "prefix")
    return folder / "prefix"


def check_tree(prefix):
    libdir = next(prefix.rglob("ledge.pc")).parent.parent
    for name in ("libledge.so", "libledge.a", "cmake/ledge/ledge-config.cmake", "cmake/ledge/ledge-config-version.cmake"):
        assert (libdir / name).exists(), f"{name} is not installed"
    installed = sorted(path.name for path in (prefix / "include/ledge").iterdir())
    ours = sorted(path.name for path in (ROOT / "include/ledge").iterdir())
    assert installed == ours, f"headers: {installed}, not {ours}"
    for path in prefix.rglob("*"):
        if path.suffix in (".cmake", ".pc"):
            assert str(ROOT) not in path.read_text(), f"{path.name} names the source tree"
    run(sys.executable, ROOT / "tools/check_symbols.py", libdir / "libledge.so", libdir / "libledge.a")
    return libdir


def same_answer(outputs):
    """Every build of an example says the same; the first tells whether it ran at all."""
    first = outputs[0]
    for start in EXPECTED:
        assert any(line.startswith(start) for line in first.splitlines()), first
    assert all(output == first for output in outputs), outputs


def by_cmake(prefix, folder, language, compiler):
    source = shutil.copytree(ROOT / "examples" / language, folder / f"{language}-source")
    build = folder / f"{language}-cmake"
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_{compiler}")
    run("cmake", "--build", build)
    return [run(build / program, MODEL) for program in ("predict", "predict_static")]


def by_pkg_config(libdir, folder, language, source, compiler, *flags):
    where = {"PKG_CONFIG_PATH": str(libdir / "pkgconfig")}
    shared = folder / f"{language}-shared"
    run(compiler, *flags, ROOT / "examples" / source, *run("pkg-config", "--cflags", "--libs", "ledge", **where).split(), "-o",
        shared)
    static = folder / f"{language}-static"
    words = run("pkg-config", "--static", "--cflags", "--libs", "ledge", **where).split()
    words = ["-l:libledge.a" if word == "-lledge" else word for word in words]
    run(compiler, *flags, ROOT / "examples" / source, *words, "-o", static)
    assert "libledge" not in run("ldd", static), "the static program needs libledge.so"
    return [run(shared, MODEL, LD_LIBRARY_PATH=str(libdir)), run(static, MODEL)]


def refuses(program):
    """A model that is not there: exit code 1 and one line."""
    done = subprocess.run([str(program), "/nonexistent.onnx"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("predict: "), done
    assert "/nonexistent.onnx" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def custom_operator(program, folder):
    """x [4] -> com.example.Scale -> y, with factor 2.5."""
    factor = (tiny_onnx.nested(1, "factor") + tiny_onnx.varint(2 << 3 | 5) + struct.pack("<f", 2.5)
              + tiny_onnx.number(20, 1))
    node = tiny_onnx.node("Scale", ["x"], ["y"], "scale", [factor]) + tiny_onnx.nested(7, "com.example")
    path = folder / "scale.onnx"
    path.write_bytes(tiny_onnx.model([node], [tiny_onnx.value_info("x", [4])], [tiny_onnx.value_info("y", [4])], []))
    assert run(program, path).split() == ["0", "2.5", "5", "7.5"]


def main():
    build, cc, cxx = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if shutil.which("pkg-config") is None:
        print("skipped: no pkg-config")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix = install(build, folder)
        libdir = check_tree(prefix)
        same_answer(by_cmake(prefix, folder, "c", f"C_COMPILER={cc}")
                    + by_pkg_config(libdir, folder, "c", "c/predict.c", cc, "-std=c11", "-Wall", "-Wextra", "-Werror"))
        refuses(folder / "c-cmake/predict")
        custom_operator(folder / "c-cmake/custom_op", folder)
        print("C: find_package and pkg-config, shared and static")
        same_answer(by_cmake(prefix, folder, "cpp", f"CXX_COMPILER={cxx}")
                    + by_pkg_config(libdir, folder, "cpp", "cpp/predict.cpp", cxx, "-std=c++17", "-Wall", "-Wextra",
                                    "-Werror", "-fno-exceptions", "-fno-rtti"))
        refuses(folder / "cpp-cmake/predict")
        print("C++: the same, without exceptions and RTTI")
    return 0


sys.exit(main())
