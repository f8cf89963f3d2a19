#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs that speak with a hub, run as a user runs them, with a real hub and one device.

Usage: fleet_verbs_test.py BIN
"""
import json
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "hub", "serve"):
    sys.path.insert(0, str(here.parent / folder))
from fleet import Fleet, wait_for  # noqa: E402
from shared import png  # noqa: E402
from tiny_onnx import conv_of  # noqa: E402


def main():
    with Fleet(sys.argv[1]) as fleet:
        where = ["--hub", fleet.url, "--token", fleet.token, "--ca", fleet.hub_state / "ca.crt"]

        def ledge(*args, code=0):
            done = subprocess.run([str(a) for a in (fleet.bin / "ledge", *args, *where)], capture_output=True, text=True, timeout=120)
            assert done.returncode == code, (args, done)
            assert code == 0 or done.stderr.count("\n") == 1, (args, done.stderr)
            return done.stderr if code else done.stdout

        def say(words, *args, code=0):
            text = ledge(*args, code=code)
            assert words in text, (args, text)

        model, function, picture = fleet.root / "m.onnx", fleet.root / "watch", fleet.root / "1.png"
        model.write_bytes(conv_of(1, 10))
        function.write_text("#!/bin/sh\necho hello\nexec sleep 1000\n")
        fleet.add_device("cam-1")
        say("cam-1", "device", "list")
        say("lt1.", "device", "token", "cam-2")
        say("signs version 1", "model", "push", "signs", model, "--note", "first")
        say("watch version 1", "model", "push", "watch", function, "--function")
        say("signs", "model", "list")
        say('"note": "first"', "model", "show", "signs")
        # What a user types is one segment of the path, whatever is in it.
        say("/models/a%20b%2Fc", "model", "show", "a b/c", code=4)
        say("/deployments/1%2Fnone", "deploy", "show", "1/none", code=4)
        say("/devices/..%2Fmodels", "device", "show", "../models", code=4)
        say("too long", "model", "show", "m" * 2000, code=1)
        say("NAME@VERSION", "deploy", "create", "-m", "signs@1x", code=2)
        say("CONFIRMED", "deploy", "create", "-m", "signs", "-f", "watch", "--trial", "0", "--wait", "60")
        say("CONFIRMED", "deploy", "wait", "1", "--timeout", "60")
        say("cam-1", "deploy", "show", "1")
        say("1", "deploy", "list")
        wait_for(lambda: "hello" in ledge("logs", "cam-1", "watch", "-n", "5"), "what the function wrote")
        say('"id": "cam-1"', "device", "show", "cam-1")
        say("in use", "device", "certificates", "cam-1")
        say("no such certificate", "device", "certificates", "cam-1", "--revoke", "00", code=4)
        assert fleet.raw("POST", "/api/v1/samples", png(0))[0] == 201
        sample, = json.loads(ledge("sample", "list", "--json"))
        ledge("sample", "get", sample["id"], "-o", picture)
        assert picture.read_bytes() == png(0)
        for verb in ("set", "undo", "set"):
            ledge("label", verb, sample["id"], *(["a", "--by", "ada"] if verb == "set" else []))
            state = "unlabelled" if verb == "undo" else "labelled"
            assert [s["id"] for s in json.loads(ledge("sample", "list", "--state", state, "--json"))] == [sample["id"]], verb
        say("digits version 1: 1 samples", "dataset", "freeze", "digits")
        say("digits", "dataset", "list")
        say("1 pictures", "dataset", "pull", "digits", "1", fleet.root / "data")
        assert [p.read_bytes() for p in (fleet.root / "data/a").iterdir()] == [png(0)]
        say("a version is a number", "dataset", "pull", "digits", "1x", fleet.root / "none", code=4)
        say("puts back", "deploy", "undo", "1")
        say("would remove 0 blobs", "gc", "--dry-run")
        ledge("device", "remove", "cam-1")
        say("no device", "device", "rotate", "cam-1", code=4)
        assert "ERROR: AddressSanitizer" not in fleet.hub.text() and "runtime error" not in fleet.hub.text(), fleet.hub.text()


main()
