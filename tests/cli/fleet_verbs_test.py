#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs that speak with a hub, run as a user runs them, with a real hub and one device.

Usage: fleet_verbs_test.py BIN
"""
import json
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "hub", "serve"):
    sys.path.insert(0, str(here.parent / folder))
from fleet import Fleet, free_port, wait_for  # noqa: E402
from shared import png  # noqa: E402
from tiny_onnx import conv_of  # noqa: E402


def test_next_steps(fleet, where):
    """Every exit code of --help is met, and an error says in one line what to do next."""
    here = dict(zip(("--hub", "--token", "--ca"), (str(w) for w in where[1::2])))

    def says(code, words, *args, program="ledge", without=(), environment=None, **options):
        given = {**{k: v for k, v in here.items() if k not in without}, **{"--" + k: v for k, v in options.items()}} \
            if program == "ledge" and args[:1] and args[0] in fleet_verbs else {}
        done = subprocess.run([str(fleet.bin / program), *args, *(a for pair in given.items() for a in pair)], capture_output=True, text=True,
                              timeout=60, env={**plain, **(environment or {})})
        lines = done.stderr.strip().splitlines()
        assert done.returncode == code and lines and words in lines[0], (args, done)
        assert all(line.startswith("usage: ") for line in lines[1:]), (args, lines)

    fleet_verbs = ("label", "sample", "device", "model", "deploy", "dataset", "logs", "gc")
    plain = {k: v for k, v in os.environ.items() if k != "USER" and not k.startswith("LEDGE_")}
    plain["XDG_CONFIG_HOME"] = str(fleet.root / "no-config")
    missing, empty, clutter = str(fleet.root / "absent"), fleet.root / "empty", fleet.root / "clutter"
    empty.mkdir()
    clutter.write_text("no model")
    for sample in "7", "x":
        says(4, "; see `ledge sample list`", "label", "set", sample, "a", "--by", "ada")
    says(2, "give --by NAME, or set USER", "label", "set", "1", "a")
    says(2, "--by: the value is empty", "label", "set", "1", "a", "--by", "")
    says(2, 'label "a/b": give 1 to 64 bytes, no slash', "label", "set", "1", "a/b", "--by", "ada")
    says(2, 'by ".": give 1 to 64 bytes', "label", "set", "1", "a", environment={"USER": "."})
    says(2, "limit", "logs", "cam-1", "watch", "--limit=-1")
    says(2, "'grace_s' is 1, not in", "gc", "--grace=1")
    says(2, "'trial_s' is -1, not in", "deploy", "create", "-m", "signs", "--trial=-1")
    says(2, "state", "sample", "list", "--state=lost")
    says(2, "LABEL is missing", "label", "set", "1")
    says(2, "ID is missing", "label", "set")
    says(2, "-o FILE", "sample", "get", "1")
    says(2, "MODEL is missing", "inspect")
    says(2, "PICTURE... is missing", "classify", str(clutter))
    says(2, "FUNCTION is missing", "logs", "cam-9")
    for what, verbs in {"device": ("show", "remove", "rotate", "certificates"), "model": ("show",)}.items():
        for verb in verbs:
            says(4, f"; see `ledge {what} list`", what, verb, "cam-9")
    says(4, "; see `ledge deploy list`", "deploy", "show", "99")
    says(4, "; see `ledge dataset list`", "dataset", "pull", "none", "1", missing)
    says(4, "; see `ledge model list`", "deploy", "create", "-m", "none")
    says(6, "; give --token or LEDGE_TOKEN, or run `ledge login`", "device", "list", token="la1.wrong")
    says(6, "run `ledge login`", "device", "list", without=["--token"])
    says(6, "<state>/ca.crt (--ca, LEDGE_CA)", "device", "list", without=["--ca"])
    says(4, "give the hub's <state>/ca.crt", "device", "list", ca=missing)
    says(2, "run `ledge login`", "device", "list", without=["--hub"])
    says(2, "not a URL like https://", "device", "list", hub="somewhere")
    says(7, "does ledge-hub run there? (--hub, LEDGE_HUB)", "device", "list", hub=f"https://127.0.0.1:{free_port()}")
    says(4, missing, "verify", missing)
    says(4, "verify --help", "verify", str(empty))
    says(2, "train --keys", "train")
    says(2, "see ledge check --help", "check")
    says(2, "folder of pictures for each class", "evaluate", str(fleet.root / "m.onnx"), "--data", str(empty))
    for program, verb in ("ledge-hub", []), ("ledge-agent", ["run"]):
        for wrong in "--nothing", "-x", "-xy":
            says(2, f"unrecognized option '{wrong}'; see {program} --help", *verb, wrong, program=program)
        says(2, f"option '--state' requires an argument; see {program} --help", *verb, "--state", program=program)
    says(2, "`ledge device token` makes one", "enroll", "--hub", fleet.url, "--token", "lt1.x", "--state", missing, program="ledge-agent")
    # A device that is away never settles.
    fleet.agents["cam-1"].stop()
    # One that is not known does not stop the other.
    says(4, "/devices/cam-9/rotate: 404", "device", "rotate", "cam-9", "cam-1")
    assert fleet.device("cam-1")["certificate"]["due"]
    made = fleet.deploy(["cam-1"], models=[{"name": "signs", "version": 1}], trial_s=0, wait=0)
    says(124, "not every device has settled", "deploy", "wait", str(made), "--timeout", "1")
    says(5, "409", "device", "certificates", "cam-1", "--revoke", fleet.device("cam-1")["certificate"]["serial"])
    for verb in ["--help"], ["label", "--help"], ["label", "set", "--help"], ["inspect", "--help"]:
        text = subprocess.run([str(fleet.bin / "ledge"), *verb], capture_output=True, text=True, timeout=60).stdout
        assert "exit codes: 0 ok, 1 failed, 2 usage, 3 gate refused, 4 not found, 5 conflict,\n            6 not authorised, 7 unreachable, " \
            "124 timed out\n" in text, text


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
        say("too long", "model", "show", "m" * 2000, code=2)
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
        test_next_steps(fleet, where)
        ledge("device", "remove", "cam-1")
        say("no device", "device", "rotate", "cam-1", code=4)
        assert "ERROR: AddressSanitizer" not in fleet.hub.text() and "runtime error" not in fleet.hub.text(), fleet.hub.text()


main()
