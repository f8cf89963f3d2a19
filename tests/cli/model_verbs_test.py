#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ledge inspect | check | run | bench | convert | verify` on small models: answers, exit codes, one clear line on failure.

Usage: model_verbs_test.py LEDGE MODELS
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

LEDGE = sys.argv[1]
MODELS = pathlib.Path(sys.argv[2])


def ledge(*arguments, code=0):
    done = subprocess.run([LEDGE, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done


def as_json(*arguments):
    return json.loads(ledge(*arguments, "--json").stdout)


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def tensor_proto(dims, values):
    return b"".join(varint(1 << 3) + varint(d) for d in dims) + b"\x10\x01" + field(9, struct.pack(f"<{len(values)}f", *values))


def node(op, read, written):
    return field(1, field(1, read) + field(2, written) + field(4, op))


def model(*operators):
    """x f32[2] through a chain of unary operators to y."""
    def info(name):
        return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x02"))))
    names = [b"x"] + [b"v%d" % i for i in range(len(operators) - 1)] + [b"y"]
    nodes = b"".join(node(op, names[i], names[i + 1]) for i, op in enumerate(operators))
    graph = nodes + field(11, info(b"x")) + field(12, info(b"y"))
    return b"\x08\x07" + field(7, graph) + field(8, b"\x10\x0d")


class ModelVerbs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def write(self, name, data):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def test_inspect(self):
        report = as_json("inspect", MODELS / "conv.onnx")
        self.assertTrue(report["runs"])
        self.assertEqual(report["operators"]["BatchNormalization"], 1)
        self.assertEqual([s["op"] for s in report["steps"]], ["Conv", "MaxPool", "Flatten", "Gemm"])
        self.assertEqual(report["macs"], 2 * 9 * 16 + 8 * 3)
        self.assertEqual(report["inputs"][0]["dims"], [-1, 1, 4, 4])
        self.assertIn("Conv", ledge("inspect", MODELS / "conv.onnx", "--plan").stdout)

    def test_check(self):
        self.assertIn("runs:", ledge("check", MODELS / "qdq.onnx", "--nodes").stdout)
        missing = self.write("missing.onnx", model(b"Frobnicate", b"Relu", b"Quux", b"Quux"))
        lines = ledge("check", missing, code=1).stdout.splitlines()
        self.assertEqual(len(lines), 1)
        self.assertIn("2 operators are missing: Quux (2 nodes), Frobnicate (1 node)", lines[0])
        self.assertIn("Quux", ledge("run", missing, "--random", code=1).stderr)

    def test_check_nodes(self):
        """Conv, BatchNormalization, MaxPool, Flatten, Gemm: the batch norm becomes part of the convolution."""
        nodes = as_json("check", MODELS / "conv.onnx")["nodes"]
        conv, pool = nodes[0], next(n for n in nodes if n["op"] == "MaxPool")
        self.assertEqual((conv["fate"], conv["macs"], conv["in_dtype"]), ("runs", 2 * 9 * 16, "f32"))
        self.assertEqual(conv["bytes"], 4 * (16 + 2 * 9 + 2 + 2 * 16))
        fused = {n["op"]: n["fused_into"] for n in nodes if n["fate"] == "fused"}
        self.assertEqual(fused["BatchNormalization"], conv["node"])
        self.assertEqual((pool["fate"], pool["layout"]), ("runs", "rows"))
        self.assertEqual(next(n for n in nodes if n["op"] == "Flatten")["fate"], "same bytes")
        missing = self.write("missing.onnx", model(b"Relu", b"Frobnicate"))
        fates = [n["fate"] for n in json.loads(ledge("check", missing, "--json", code=1).stdout)["nodes"]]
        self.assertEqual(fates, ["not reached", "MISSING"])

    def test_check_slow(self):
        """A quantised operator without an integer form is named."""
        scale = tensor_proto([], [0.5]) + field(8, b"s")
        zero = b"\x10\x02" + field(9, b"\x80") + field(8, b"z")
        def info(name):
            return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x02"))))
        def step(op, read, written):
            return field(1, b"".join(field(1, r) for r in read) + field(2, written) + field(4, op))
        graph = (step(b"QuantizeLinear", [b"x", b"s", b"z"], b"q") + step(b"DequantizeLinear", [b"q", b"s", b"z"], b"d")
                 + step(b"Erf", [b"d"], b"y") + field(5, scale) + field(5, zero) + field(11, info(b"x")) + field(12, info(b"y")))
        path = self.write("qdq.onnx", b"\x08\x07" + field(7, graph) + field(8, b"\x10\x0d"))
        nodes = as_json("check", path)["nodes"]
        self.assertEqual(["slow" in n for n in nodes], [False, False, True])
        self.assertIn("no integer form", ledge("check", path, "--nodes").stdout)

    def test_check_target(self):
        kernels = [n.get("kernel", "") for n in as_json("check", MODELS / "conv.onnx", "--target", "c")["nodes"]]
        self.assertFalse(any("avx" in k or "neon" in k for k in kernels))
        self.assertIn("can plan for", ledge("check", MODELS / "conv.onnx", "--target", "abacus", code=2).stderr)
        ledge("check", code=2)
        self.assertIn({"domain": "ai.onnx", "operator": "Conv"}, as_json("check", "--operators")["operators"])

    def test_run(self):
        relu = self.write("relu.onnx", model(b"Relu"))
        data = self.write("x.pb", tensor_proto([2], [-3.5, 1.25]))
        self.assertEqual(as_json("run", relu, "-i", data)["outputs"][0]["data"], [0, 1.25])
        ledge("run", relu, "-i", f"x={data}", "-o", self.path / "y.npy")
        self.assertEqual((self.path / "y.npy").read_bytes()[-8:], struct.pack("<2f", 0, 1.25))
        again = as_json("run", self.write("abs.onnx", model(b"Neg")), "-i", self.path / "y.npy")
        self.assertEqual(again["outputs"][0]["data"], [0, -1.25])
        self.assertIn("input x is missing", ledge("run", relu, code=2).stderr)
        wrong = self.write("w.pb", tensor_proto([3], [1, 2, 3]))
        self.assertIn("input x", ledge("run", relu, "-i", wrong, code=1).stderr)
        for junk in (b"no tensor\n", b"\x08", self.path.joinpath("w.pb").read_bytes()[:-1]):
            path = self.write("junk.csv", junk)
            done = ledge("run", relu, "-i", path, code=1).stderr
            self.assertTrue(done.startswith(f"ledge: {path}: tensor") and done.endswith("(is this a .npy, .npz or .pb file?)\n"), done)
        self.assertIn("no input z", ledge("run", relu, "-i", f"z={data}", code=2).stderr)
        self.assertEqual(ledge("run", relu, "-i", self.path / "absent.npy", code=4).stdout, "")

    def test_convert(self):
        converted = 0
        for source in sorted(MODELS.glob("*.onnx")):
            done = subprocess.run([LEDGE, "run", source, "--random", "--json"], capture_output=True, text=True, check=False)
            if done.returncode == 1:
                continue  # a seed that exists to be refused
            for ending in ("ledge", "onnx"):
                target = self.path / f"{source.stem}.{ending}"
                ledge("convert", source, "-o", target)
                self.assertEqual(as_json("run", target, "--random"), json.loads(done.stdout), f"{source} as .{ending}")
                converted += 1
        self.assertGreater(converted, 8)
        ledge("convert", MODELS / "conv.onnx", "-o", self.path / "model.txt", code=2)
        packed = ledge("convert", MODELS / "conv.onnx", "-o", self.path / "m.ledge", "--target", "c").stdout
        self.assertNotIn("packed", packed)
        nothing = ledge("convert", self.write("r.onnx", model(b"Relu")), "-o", self.path / "m.ledge", "--target", "c").stdout
        self.assertNotIn("packed", nothing)
        self.assertIn("for c: 0 constants, 0 B", ledge("inspect", self.path / "m.ledge").stdout)
        self.assertIn("packed:c", ledge("check", "--needs", self.path / "m.ledge", "--target", "c").stdout.split())

    def test_session_options(self):
        for verb in ("run", "bench", "check", "inspect"):
            for option, value, words in (("--precision", "f8", "--precision f8: f32 or bf16"),
                                         ("--threads", "5000", "--threads: '5000' is not a whole number from 0 to 4096"),
                                         ("--batch", "-1", "--batch: '-1' is not a whole number from 0 to 2147483647")):
                self.assertIn(words, ledge(verb, MODELS / "conv.onnx", option, value, code=2).stderr)
        for line, words in (("classify MODEL --threads 4294967297 x.png", "--threads: '4294967297' is not"),
                            ("classify MODEL --top 0 x.png", "--top: '0' is not a whole number from 1 to 1000"),
                            ("bench MODEL --runs 0", "--runs: '0' is not a whole number from 1 to"),
                            ("bench MODEL --warmup -1", "--warmup: '-1' is not"), ("bench MODEL --seconds -1", "--seconds: '-1'"),
                            ("evaluate MODEL --data . --threads 0", "--threads: '0' is not"),
                            ("evaluate MODEL --data . --limit -3", "the number of samples: '-3' is negative"),
                            ("evaluate MODEL --data . --seed -3", "--seed: '-3' is negative"),
                            ("evaluate MODEL --data . --val-fraction 2", "--val-fraction: '2' is not 0 to 1"),
                            ("train x.yaml --threads 0", "--threads: '0' is not"), ("demo --fps 101", "--fps: '101' is not"),
                            ("deploy wait 1 --timeout 9223372036854775807", "--timeout: '9223372036854775807' is not"),
                            ("deploy create -m m --wait -1", "--wait: '-1' is not a whole number from 0 to"),
                            ("inspect MODEL stray", "unexpected argument 'stray'")):
            self.assertIn(words, ledge(*line.replace("MODEL", str(MODELS / "conv.onnx")).split(), code=2).stderr)

    def test_bench(self):
        report = as_json("bench", MODELS / "conv.onnx", "--runs", 20, "--profile", "--threads", 2)
        self.assertEqual(report["runs"], 20)
        self.assertEqual(len(report["steps"]), 4)
        times = report["ms"]
        self.assertTrue(0 < times["min"] <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"])
        self.assertGreater(report["peak_gmacs_per_core_f32"], 0.1)
        self.assertGreater(report["peak_gmacs_per_core_i8"], 0.1)
        self.assertAlmostEqual(report["floor_ms"], report["macs"] / report["peak_gmacs_per_core_f32"] / 2 / 1e6, places=9)
        conv = report["steps"][0]
        self.assertEqual((conv["op"], conv["dtype"], conv["macs"]), ("Conv", "f32", 2 * 9 * 16))
        self.assertEqual(conv["bytes_moved"], 4 * (16 + 2 * 9 + 2 + 2 * 16))  # picture, weights, bias, maps
        memory = report["process_kb"]
        self.assertTrue(0 < memory["before"] <= memory["opened"] <= memory["most"])
        self.assertIn("never more than", ledge("bench", MODELS / "conv.onnx", "--runs", 2, "--peak-mem").stdout)

    def test_bench_pin(self):
        self.assertEqual(as_json("bench", MODELS / "conv.onnx", "--runs", 2, "--pin", "0")["runs"], 2)
        for wrong in ("x", "0,y", "99999", "-1", "0-99999"):
            line = ledge("bench", MODELS / "conv.onnx", "--runs", 2, f"--pin={wrong}", code=2).stderr
            self.assertIn("not a list of this machine's CPUs", line)

    def test_bench_compare(self):
        """Against a file whose times are known: each ratio is old over new."""
        new = ledge("bench", MODELS / "conv.onnx", "--runs", 5, "--profile", "--json").stdout
        old = json.loads(new)
        old["ms"]["p50"] = 1000
        old["steps"][0]["ms"] = 500
        old["steps"][3]["node"] = "another"
        path = self.write("old.json", json.dumps(old).encode())
        done = as_json("bench", MODELS / "conv.onnx", "--runs", 5, "--profile", "--compare", path)
        self.assertAlmostEqual(done["compare"]["p50_ratio"] * done["ms"]["p50"], 1000, places=3)
        steps = done["compare"]["steps"]
        self.assertAlmostEqual(steps[0]["ratio"] * steps[0]["ms"], 500, places=3)
        self.assertEqual([s.get("old_ms") is None for s in steps], [False, False, False, True])
        text = ledge("bench", MODELS / "conv.onnx", "--runs", 5, "--profile", "--compare", path).stdout
        self.assertRegex(text, r"against .*old.json .*p50 \d+\.\d\dx")
        self.assertRegex(text, r"500\.0000 +0\.\d+ +\d+\.\d\d Conv")
        for wrong in (b"", b"[]", b"{}", b'{"ms": {"p50": "x"}}'):
            bad = self.write("bad.json", wrong)
            self.assertIn("--compare", ledge("bench", MODELS / "conv.onnx", "--runs", 2, "--compare", bad, code=1).stderr)

    def test_bench_trace(self):
        """One event for opening, one a run, and the steps inside their run, one after another."""
        path = self.path / "trace.json"
        ledge("bench", MODELS / "conv.onnx", "--runs", 3, "--trace", path)
        events = json.loads(path.read_text())
        self.assertEqual([e["cat"] for e in events], ["open"] + ["run", "Conv", "MaxPool", "Flatten", "Gemm"] * 3)
        self.assertTrue(all(e["ph"] == "X" and e["dur"] >= 0 and e["pid"] == e["tid"] for e in events))
        for run in range(3):
            whole, steps = events[1 + 5 * run], events[2 + 5 * run:6 + 5 * run]
            for before, after in zip([whole] + steps, steps):
                self.assertGreaterEqual(after["ts"], before["ts"])
            self.assertLessEqual(steps[-1]["ts"] + steps[-1]["dur"], whole["ts"] + whole["dur"] + 1e-3)
        ledge("bench", MODELS / "conv.onnx", "--runs", 3, "--trace", self.path / "no" / "such.json", code=4)

    def test_verify(self):
        for name, answer in (("right", [0, 1.25]), ("wrong", [0, 1.5])):
            self.write(f"{name}/model.onnx", model(b"Relu"))
            self.write(f"{name}/test_data_set_0/input_0.pb", tensor_proto([2], [-3.5, 1.25]))
            self.write(f"{name}/test_data_set_0/output_0.pb", tensor_proto([2], answer))
        self.write("missing/model.onnx", model(b"Frobnicate"))
        self.write("empty/model.onnx", model(b"Relu"))
        done = ledge("verify", self.path, "--json", code=1)
        verdicts = {pathlib.Path(c["path"]).name: c["verdict"] for c in json.loads(done.stdout)["results"]}
        self.assertEqual(verdicts, {"right": "pass", "wrong": "wrong", "missing": "unsupported", "empty": "broken"})
        self.write("wrong/data.json", b'{"rtol": 0.5}')
        self.assertIn("1 pass", ledge("verify", self.path / "wrong").stdout)

    def test_damaged(self):
        whole = (MODELS / "lstm.onnx").read_bytes()
        for size in (0, 1, 7, len(whole) // 2, len(whole) - 1):
            cut = self.write("cut.onnx", whole[:size])
            self.assertEqual(len(ledge("inspect", cut, code=1).stderr.splitlines()), 1)
        ledge("inspect", self.path / "absent.onnx", code=4)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
