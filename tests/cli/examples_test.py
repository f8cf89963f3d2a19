#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of every --help, as they are written: those of model verbs run on small files of the names they use, those that speak
with a hub get as far as the hub, the others are parsed, as are the lines of README.md and docs.

Usage: examples_test.py BIN SOURCE
"""
import gzip
import os
import pathlib
import re
import shlex
import struct
import subprocess
import sys
import tempfile

BIN, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
sys.path.insert(0, str(SOURCE / "tests/serve"))
from tiny_onnx import conv_of, floats, model, node, value_info  # noqa: E402

SEEDS = SOURCE / "fuzz/seeds"
PARSED = ("demo", "hub", "agent", "serve")  # run until they are stopped


def bmp(value):
    """4x4 pixels of one grey."""
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 102, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + bytes([value]) * 48


def npy(dims):
    count = 4
    for dim in dims:
        count *= dim
    return b"\x93NUMPY\1\0\x76\0" + f"{{'descr': '<f4', 'fortran_order': False, 'shape': {dims}, }}".encode().ljust(117) + b"\n" + bytes(count)


def files():
    """What the examples name: (path, bytes)."""
    conv, tflite = (SEEDS / "onnx/conv.onnx").read_bytes(), (SEEDS / "tflite/float.tflite").read_bytes()
    names = ["n", "c", "h", "w"]
    detector = model([node("Relu", ["image"], ["boxes"], "r")], [value_info("image", names)], [value_info("boxes", names)], [])
    relu = model([node("Relu", ["x"], ["y"], "r")], [value_info("x", [2])], [value_info("y", [2])], [])
    for name in ("mnist", "mobilenet", "net", "old_opset", "signs", "small", "signs-int8"):
        yield f"{name}.onnx", conv
    for name in ("model", "mobilenet", "models/a", "models/b"):
        yield f"{name}.tflite", tflite
    yield "detector.onnx", detector
    yield "person.tflite", conv_of(1, 0)  # what a file is does not depend on its name
    yield "digit.npy", npy((1, 1, 4, 4))
    yield "frame.npy", npy((1, 3, 8, 8))
    yield "burger.jpg", (SEEDS / "image/rgb.jpg").read_bytes()
    yield "frame.bmp", bmp(9)
    for case in ("models/mnist_8", "onnx/backend/test/data/node/test_relu"):
        yield f"{case}/model.onnx", relu
        yield f"{case}/test_data_set_0/input_0.pb", floats("x", [2], [-1, 2])
        yield f"{case}/test_data_set_0/output_0.pb", floats("y", [2], [0, 2])
    for folder in ("images", "pictures"):
        for i in range(30):
            yield f"{folder}/{'abc'[i % 3]}/{i}.bmp", bmp(i % 3 * 80 + i)
    yield "t10k-images-idx3-ubyte.gz", gzip.compress(struct.pack(">IIII", 0x803, 6, 4, 4) + bytes(range(96)))
    yield "t10k-labels-idx1-ubyte.gz", gzip.compress(struct.pack(">II", 0x801, 6) + bytes([0, 1, 2, 0, 1, 2]))
    yield "gate.yaml", b"samples: {min: 1}\n"
    recipe = b"name: a\ndata: {path: %s}\nmodel: {arch: mlp}\ntrain: {epochs: 1}\n"
    yield "recipe.yaml", recipe % b"images"
    yield "examples/recipes/sign-senior.yaml", recipe % b"none"
    yield "report.json", b'{"metrics":{"top1":1}}'
    yield "watch.py", b"#!/usr/bin/env python3\n"


def helps(program, verb=""):
    """(verb, its --help), sub-verbs included."""
    text = subprocess.run([BIN / program, *verb.split(), "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    if " VERB " not in text.splitlines()[0]:
        return [(verb, text)]
    names = re.findall(r"^  ([a-z]+) ", text, re.M)
    return [one for name in names for one in (helps(program, f"{verb} {name}".strip()) if name not in PARSED[1:] else [])]


def examples(text):
    """The lines below "examples:", with what a backslash continues."""
    found = re.search(r"^[Ee]xamples:\n((?:  .*\n)+)", text, re.M)
    return [re.sub(r"\\\n *", "", line).strip() for line in re.findall(r"(?:.*\\\n)*.+\n", found[1])] if found else []


def in_pages():
    """Lines of code in README.md and docs that call a program; what stands in $(...) is a word."""
    for page in [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md")), *sorted((SOURCE / "examples").glob("*/*.md"))]:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in re.sub(r"\\\n *", "", block).splitlines():
                yield from (part.strip() for part in re.sub(r"\$\(.*?\)", "WORD", line).split(" && ") if part.strip().startswith("ledge"))


def main():
    tried = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, data in files():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": folder, "USER": "ada", "LEDGE_HUB": "http://127.0.0.1:1", "LEDGE_TOKEN": "t"}
        # Continued is what was stopped: runs/a of the example.
        first = "ledge train recipe.yaml --out runs/a --quiet"
        subprocess.run(["sh", "-c", first], cwd=root, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)

        def shell(line, codes):
            done = subprocess.run(["sh", "-c", line], cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode in codes and "usage" not in done.stderr, (line, done.returncode, done.stdout[-2000:], done.stderr)
            tried.append(line)

        for program in ("ledge", "ledge-hub", "ledge-agent", "ledge-serve"):
            for verb, text in helps(program):
                lines = [line for line in examples(text) if not line.startswith("curl ")]
                assert lines, f"{program} {verb}: no example in its --help"
                for line in lines:
                    words = shlex.split(line, comments=True)
                    assert words[0].startswith("ledge") and not re.search(r"\S  +[^# ]", line), f"{line}: words behind it want a #"
                    if words[0] != "ledge" or words[1] in PARSED:  # options are read in order: a wrong one comes before --help
                        shell(shlex.join([*(w for w in words if w != "&"), "--help"]), {0})
                    else:
                        shell(line, {4, 7} if verb == "login" else {7} if "--hub" in text else {0})  # login: no CA of a hub here
        for line in in_pages():
            words = [word for word in shlex.split(line, comments=True) if word != "&"]
            shell(shlex.join([*words, "--help"]), {0})
    assert len(tried) > 80, tried
    print(f"{len(tried)} examples")


main()
