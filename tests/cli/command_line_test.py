#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line of the four programs without a hub: exit codes, what --help says, and values that nobody should give.

Usage: command_line_test.py BIN SOURCE
"""
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

BIN, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
MODEL = SOURCE / "fuzz/seeds/onnx/conv.onnx"
PROGRAMS = ("ledge", "ledge-hub", "ledge-agent", "ledge-serve")


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

    def test_output_lost(self):
        """Standard output that is full or closed is a failure, told in one line; no file gets the number of a closed stream."""
        lines = ([*verb, "--help"] for verb in ([], ["inspect"], ["device"], ["device", "list"]))
        for line in (*lines, ["--version"], ["inspect", MODEL], ["inspect", MODEL, "--plan"], ["check", MODEL, "--nodes"], ["check", "--operators"],
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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
