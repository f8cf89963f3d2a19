#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line of the four programs without a hub: exit codes, what --help says, and values that nobody should give.

Usage: command_line_test.py BIN SOURCE
"""
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

BIN, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
sys.path.insert(0, str(SOURCE / "tests/serve"))
from tiny_onnx import model, node, value_info  # noqa: E402

MODEL = SOURCE / "fuzz/seeds/onnx/conv.onnx"  # 1x4x4 pictures, three scores
PROGRAMS = ("ledge", "ledge-hub", "ledge-agent", "ledge-serve")
HUB = ["--hub", "http://127.0.0.1:1", "--token", "t"]  # nobody listens
# What may be negative, is judged with the model at hand (test_values), or by a hub (cli/fleet_verbs).
SIGNED = {("run", "seed"), ("classify", "crop"), ("logs", "limit"), ("gc", "grace"), ("deploy create", "trial")}


def bmp(value):
    """4x4 pixels of one grey."""
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 102, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + bytes([value]) * 48


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": folder.name}

    def run_it(self, program, *arguments, **how):
        how = {"stdout": subprocess.PIPE, **how}
        return subprocess.run([BIN / program, *map(str, arguments)], stderr=subprocess.PIPE, text=True, errors="replace", timeout=60,
                              check=False, cwd=self.path, env=self.environment, **how)

    def refused(self, code, words, program, *arguments, **how):
        """Ends with this code and one line that names what is wrong (two with the usage, as the standard parsers print it)."""
        done = self.run_it(program, *arguments, **how)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(done.returncode, code, (arguments, done))
        self.assertTrue(lines and words in lines[0], (arguments, lines))
        self.assertTrue(all(re.match("usage: |Try ", line) for line in lines[1:]), (arguments, lines))

    def verbs(self, start=""):
        """Every verb as typed, with its --help: "inspect", "device list", ...; not the programs."""
        text = self.run_it("ledge", *start.split(), "--help").stdout
        if " VERB " not in text.splitlines()[0]:
            return [(start, text)]
        names = re.findall(r"^  ([a-z]+) ", text.split("\nprograms:")[0], re.M) + (["demo"] if not start else [])
        return [found for name in names for found in self.verbs(f"{start} {name}".strip())]

    @staticmethod
    def arguments(text):
        """What must stand behind the verb, out of its usage: each word as its own value."""
        usage = re.sub(r"\[[^][]*\[[^][]*\][^][]*\]|\[.*?\]|-\S+ \S+", "", text.splitlines()[0])
        return [word.strip(".") for word in re.findall(r" ([A-Z][A-Za-z.]*)", usage)]

    def test_table(self):
        """docs/exit-codes.md, every --help and sys/exit.h hold the same codes."""
        table = dict(re.findall(r"^\| (\d+) \| (.*?) \|", (SOURCE / "docs/exit-codes.md").read_text(), re.M))
        names = re.findall(r"SYS_EXIT_\w+ = (\d+)", (SOURCE / "src/sys/exit.h").read_text())
        self.assertEqual(list(table), names)
        for program in PROGRAMS:
            said = re.search(r"exit codes: ((.|\n)*)\Z", self.run_it(program, "--help").stdout)
            self.assertEqual(re.findall(r"(\d+) ([^,]+)", re.sub(r"\s+", " ", said[1]).strip()), list(table.items()), program)

    def test_codes(self):
        """What is alike ends alike, whichever program is asked; nothing is made on the way."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        token = "lt1." + "0" * 48 + "." + "0" * 64
        listen = "127.0.0.1:%d" % taken.getsockname()[1]
        for code, words, *line in (
                (2, "unknown option '--nothing'", "ledge", "inspect", "--nothing"), (2, "'--nothing'", "ledge-hub", "--nothing"),
                (2, "'--nothing'", "ledge-agent", "run", "--nothing"), (2, "'--nothing'", "ledge-serve", "--nothing"),
                (2, "x: not HOST:PORT", "ledge-hub", "--listen", "x"), (2, "not a loopback", "ledge-hub", "--plain"),
                (2, "https:// URL", "ledge-agent", "enroll", "--hub", "http://h", "--token", token, "--state", "absent"),
                (2, "no device name", "ledge-agent", "enroll", "--hub", "https://h", "--token", token, "--name", "a b", "--state", "absent"),
                (2, "not a URL", "ledge", "device", "list", "--hub", "h", "--token", "t"),
                (2, "not like 1x3x224x224", "ledge", "inspect", MODEL, "--shape", "1x"),
                (2, "not like 1x3x224x224", "ledge", "check", MODEL, "--shape", "x:1,1x"),
                (4, "cannot open absent", "ledge", "inspect", "absent"), (4, "cannot open absent", "ledge", "check", "absent"),
                (4, "not enrolled", "ledge-agent", "run", "--state", "absent"), (4, "not enrolled", "ledge-agent", "status", "--state", "absent"),
                (4, "not enrolled", "ledge-agent", "enroll", "--again", "--token", token, "--state", "absent"),
                (4, "absent", "ledge-serve", "--listen", "127.0.0.1:0", "--model", "m=absent"),
                (5, "Address already in use", "ledge-serve", "--listen", listen),
                (2, "--broker mqtt://h: not mqtts", "ledge-hub", "--state", "absent", "--listen=127.0.0.1:0", "--broker", "mqtt://h"),
                (2, "--host: the value is empty", "ledge-hub", "--state", "absent", "--host="),
                (2, "--state: the value is empty", "ledge-agent", "run", "--state="), (2, "--name: the value", "ledge-agent", "enroll", "--name", ""),
                (2, "value of an option is empty", "ledge-serve", "--socket="), (2, "not NAME=FILE", "ledge-serve", "--socket=s", "--model=m="),
                (2, "not NAME=FILE", "ledge-serve", "--socket=s", "--model==f"), (5, "cannot listen", "ledge-serve", "--socket", __file__),
                (7, "refused", "ledge-agent", "enroll", "--hub", "https://127.0.0.1:1", "--token", token, "--name", "a", "--state", "new"),
                (7, "refused", "ledge", "device", "list", "--hub", "http://127.0.0.1:1", "--token", "t")):
            self.refused(code, words, *line)
        self.assertFalse((self.path / "absent").exists())

    def test_several(self):
        """Several models: the code that all failures share, else 1."""
        torn = self.path / "torn.onnx"
        torn.write_bytes(MODEL.read_bytes()[:99])
        for code, models in ((0, [MODEL]), (4, ["absent"]), (4, [MODEL, "absent", "gone"]), (1, [torn]), (1, ["absent", torn])):
            self.assertEqual(self.run_it("ledge", "check", *models).returncode, code, models)
        good, bad = self.file("p.bmp", bmp(1)), self.file("bad.bmp", b"BM")
        for code, pictures in ((0, [good]), (4, ["absent", good]), (1, [bad, good]), (1, ["absent", bad, good])):
            done = self.run_it("ledge", "classify", MODEL, *pictures)
            self.assertEqual((done.returncode, len(done.stderr.splitlines()), done.stdout.count("p.bmp")), (code, len(pictures) - 1, 1), done)

    def test_output_lost(self):
        """Standard output that is full or closed is a failure, told in one line; no file gets the number of a closed stream."""
        lines = ([*verb, "--help"] for verb in ([], ["inspect"], ["device"], ["device", "list"]))
        for line in (*lines, ["--version"], ["inspect", MODEL], ["inspect", MODEL, "--plan"], ["check", MODEL, "--nodes"], ["check", "--operators"], ["classify", MODEL, self.file("p.bmp", bmp(1))],
                     ["inspect", MODEL, "--json"], ["run", MODEL, "--random"], ["bench", MODEL, "--runs", "2"], ["train", "--keys"]):
            with open("/dev/full", "w", encoding="ascii") as full:
                self.refused(1, "cannot write standard output", "ledge", *line, stdout=full)
        for program in PROGRAMS[1:3]:
            with open("/dev/full", "w", encoding="ascii") as full:
                self.refused(1, "cannot write standard output", program, "--help", stdout=full)
        closed = f'exec "{BIN}/ledge" convert "{MODEL}" -o out.ledge >&-'
        done = subprocess.run(["sh", "-c", closed], stderr=subprocess.PIPE, text=True, cwd=self.path, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "ledge: cannot write standard output: Bad file descriptor\n"))
        self.assertEqual(self.run_it("ledge", "inspect", "out.ledge").returncode, 0)

    def test_every_option(self):
        """Every option of every verb, found in its --help: an empty value, and numbers that are none, are refused by name."""
        n = 0
        for verb, text in self.verbs():
            words = self.arguments(text)
            for option, word in re.findall(r"^  (?:-\w,|   ) --([\w-]+) (\S+)  ", text, re.M):
                whole = word in ("N", "SECONDS") or option in ("wait", "timeout", "trial")
                number = whole or option in ("seconds", "crop", "val-fraction", "percentile", "rtol", "atol")
                values = ["", "x", "1x", " 1", "0x10", "+1", "1e999", "nan", "inf", "9" * 400] if number else [""]
                for value in [*values, *(["1.5", "9" * 20] if whole else [])]:
                    self.refused(2, f"--{option}: '{value}' is not a" if number else f"--{option}: the value is empty", "ledge", *verb.split(),
                                 *words, f"--{option}={value}")
                if number and (verb, option) not in SIGNED:
                    needed = {"quantize": ["-o", "o.onnx", "--data", "d"], "evaluate": ["--data", "d"]}.get(verb, [])
                    self.refused(2, "-1" if "tol" not in option else "not negative", "ledge", *verb.split(), *words, *needed, f"--{option}=-1")
                n += 1
        self.assertGreater(n, 150)

    def test_every_argument(self):
        """Too few, too many, empty: the argument is named."""
        for verb, text in self.verbs():
            words = self.arguments(text)
            for i, word in enumerate(words):
                self.refused(2, "name devices" if verb == "device rotate" else word, "ledge", *verb.split(), *words[:i])
                self.refused(2, f"{word}", "ledge", *verb.split(), *words[:i], "", *words[i + 1:])
            if "..." not in text.splitlines()[0]:
                self.refused(2, "unexpected argument", "ledge", *verb.split(), *words, *["NAME"] * ("[NAME]" in text.splitlines()[0]), "more")
            self.refused(2, "unknown option '--nothing'", "ledge", *verb.split(), "--nothing")

    def test_terminal(self):
        """What a file calls itself commands no terminal and begins no line: names of inputs, operators, the graph, metadata, paths."""
        evil = "a\x1b]0;\x07b\x9bc\nledge: d\r"
        known = model([node("Relu", [evil], ["y" + evil], evil)], [value_info(evil, [evil, 2])], [value_info("y" + evil, ["n", 2])], [], {evil: evil})
        for name, data in (("known.onnx", known), ("unknown.onnx", known.replace(b"Relu", b"R\x1blu")), (evil, b"none")):
            self.file(name, data)
            for line in ["inspect", name], ["inspect", name, "--plan"], ["check", name, "--nodes"], ["run", name, "--random"], ["run", name], \
                    ["bench", name, "--runs=2", "--profile"], ["run", name, "-i", f"{evil}={self.npy()}"], ["inspect", name, "--shape", evil], \
                    ["inspect", f"--{evil}"], ["inspect", name, evil], ["train", evil]:
                done = self.run_it("ledge", *line)
                for text in done.stdout, done.stderr:
                    self.assertIsNone(re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), (line, text))
                self.assertEqual(sum(not part.startswith("usage: ") for part in done.stderr.splitlines()), done.returncode != 0 and done.stderr != "", (line, done))

    def test_values(self):
        """Values in the form that is asked for, but of no use."""
        for words, *line in (
                ("--crop: '-1'", "classify", MODEL, "p", "--crop=-1"), ("--crop: '0'", "classify", MODEL, "p", "--crop=0"),
                ("--crop: '2'", "classify", MODEL, "p", "--crop=2"), ("--fit: stretch or crop", "classify", MODEL, "p", "--fit=wide"),
                ("--mean: '0.5,'", "classify", MODEL, "p", "--mean=0.5,"), ("--std: 'x'", "classify", MODEL, "p", "--std=x"),
                ("--mean: '1],\"raw\":[true'", "classify", MODEL, "p", '--mean=1],"raw":[true'),
                ("--pin 9999", "bench", MODEL, "--pin=9999"), ("--precision f16", "run", MODEL, "--precision=f16"),
                ("--target abacus", "convert", MODEL, "-o", "o.ledge", "--target=abacus"), ("write to .ledge", "convert", MODEL, "-o", "o.txt"),
                ("write to .npy", "run", MODEL, "--random", "-o", "o.txt"), ("not like 1x3x224x224", "run", MODEL, "--random", "--shape=1x-3"),
                ("name one of the model's inputs", "bench", MODEL, "--shape=z:1"), ("the model has no input z", "run", MODEL, "-i", f"z={self.npy()}"),
                ("input x is missing", "run", MODEL), ("--method: minmax", "quantize", "m", "--data=d", "-o", "o.onnx", "--method=best"),
                ("--split: val", "evaluate", MODEL, "--data=d", "--split=test"), ("--data PATH", "evaluate", MODEL),
                ("--preprocess: ", "evaluate", MODEL, f"--data={self.pictures()}", "--preprocess={"),
                ("--preprocess: ", "quantize", MODEL, f"--data={self.pictures()}", "--preprocess={", "-o", "o.onnx"),
                ("must read key.path=value", "train", self.file("r.yaml", b"name: a\n"), "--set=x"),
                ("unknown key 'nmae'", "train", self.file("bad.yaml", b"nmae: a\n")), ("nothing to deploy", "deploy", "create", *HUB),
                ("--config: JSON", "deploy", "create", "-m", "m", "--config={", *HUB), ("NAME@VERSION", "deploy", "create", "-m", "m@x", *HUB)):
            self.refused(2, words, "ledge", *line)

    def file(self, name, data):
        (self.path / name).write_bytes(data)
        return name

    def npy(self):
        return self.file("x.npy", b"\x93NUMPY\1\0\x76\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117)
                         + b"\n" + bytes(4))

    def pictures(self):
        for i, name in enumerate("abc"):
            for k in range(4):
                path = self.path / "pictures" / name / f"{k}.bmp"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bmp(60 * i + k))
        return "pictures"

    def test_files(self):
        """Each file that a verb reads: absent, a folder, empty, noise. Each that it writes: a folder, in no folder, on a full disk. Nothing is left."""
        data = self.pictures()
        self.file("p.bmp", bmp(1))
        self.file("empty", b"")
        self.file("noise", bytes(range(256)) * 8)
        self.file("good.yaml", b"data: {path: pictures}\ntrain: {epochs: 1}\n")
        (self.path / "folder").mkdir()
        judge = ["evaluate", MODEL, "--data", data, "--split=all"]
        reads = (["inspect", "@"], ["check", "@"], ["run", "@", "--random"], ["run", MODEL, "-i", "@"], ["classify", "@", "p.bmp"], ["classify", MODEL, "@"],
                 ["classify", MODEL, "p.bmp", "--labels=@"], ["bench", "@"], ["bench", MODEL, "--runs=2", "--compare=@"], ["convert", "@", "-o", "o.ledge"],
                 ["inspect", MODEL, "--ops-library=./@"], ["train", "@"],
                 ["train", "good.yaml", "--set", "data.path=@"], ["train", "good.yaml", "--set", "data.test_path=@"], ["quantize", "@", "--data", data, "-o", "o.onnx"],
                 ["quantize", MODEL, "--data=@", "-o", "o.onnx"], ["evaluate", "@", "--data", data], ["evaluate", MODEL, "--data=@"],
                 [*judge, "--gate=@"], [*judge, "--champion=@"], ["model", "push", "m", "@", "--no-probe", *HUB],
                 ["model", "push", "m", MODEL, "--gate-report=@", *HUB], ["login", "--hub", "https://127.0.0.1:1", "--token=t", "--ca=@"])
        writes = (["convert", MODEL, "-o", "@.ledge"], ["convert", MODEL, "-o", "@.onnx"], ["run", MODEL, "--random", "-o", "@.npy"],
                  ["bench", MODEL, "--runs=2", "--trace=@"], ["quantize", MODEL, "--data", data, "-o", "@.onnx"], [*judge, "--html=@"],
                  [*judge, "--answers=@"], [*judge, "--inputs=@"])
        for ending in ("", ".ledge", ".onnx", ".npy"):
            (self.path / f"full{ending}").symlink_to("/dev/full")
            (self.path / f"taken{ending}").mkdir()
        before = self.listing()
        for line in reads:
            for name in ("absent", "folder", "empty", "noise"):
                code = 4 if name == "absent" else {1, 2} if "push" not in line else {1, 2, 7}  # any bytes can be pushed
                self.fails(code, [str(word).replace("@", name) for word in line])
        for line in writes:
            for name in ("taken", "absent/x", "full"):
                self.fails(4 if name == "absent/x" else {1}, [str(word).replace("@", name) for word in line])
        self.fails({1}, ["train", "good.yaml", "--out", "empty"])
        self.assertEqual(self.listing(), before)

    def listing(self):
        return sorted((str(p.relative_to(self.path)), p.is_file() and not p.is_symlink() and p.read_bytes()) for p in self.path.rglob("*"))

    def fails(self, codes, line):
        done = self.run_it("ledge", *line)
        self.assertIn(done.returncode, codes if isinstance(codes, set) else {codes}, (line, done))
        self.assertEqual(len(done.stderr.splitlines()), 1, (line, done.stderr))
        self.assertTrue(done.stderr.startswith("ledge: "), (line, done.stderr))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
