#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person's way through the console, against a real fleet: console.test.mjs in Chromium, everything it needs around it.

Pictures of SIMULATED machine parts, two small models trained on them, a hub, three devices whose watch.py sends what it
is unsure about, version 1 on all of them, version 2 waiting to be deployed.

Usage: journey.py BIN WORK [--screens] [--sanitized]
       WORK is emptied first; --screens: also pictures of every page, in WORK/screens
Exit code: that of the browser's test; 77 where node, playwright-core, chromium or the built console are missing.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
source = here.parent.parent
sys.path.insert(0, str(here.parent / "harness"))
from fleet import Fleet, wait_for  # noqa: E402

DEVICES = ("cam-1", "cam-2", "cam-3")
MODEL = "parts"
EPOCHS = (2, 8)  # of version 1, which is unsure about nearly everything, and 2
EPOCHS_SANITIZED = (1, 2)  # instrumented training is several times slower
SAMPLES = 24
GATE = "top1: {min: 0.6}\nsize_bytes: {max: 1000000}\n"


def missing():
    """Why this cannot run here, or None."""
    if shutil.which("node") is None:
        return "no node"
    if not (source / "console/node_modules/playwright-core/package.json").exists():
        return "no playwright-core in console/node_modules, put there by scripts/build_console"
    if not pathlib.Path(chromium()).exists():
        return f"no {chromium()}"
    return None


def chromium():
    return os.environ.get("CHROMIUM", "/usr/bin/chromium")


class Journey:
    def __init__(self, programs, work, epochs):
        self.bin, self.work, self.epochs, self.began = programs, work, epochs, time.monotonic()
        self.pictures = work / "pictures"

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def ledge(self, *args, codes=(0,), env=None):
        """Standard output of one `ledge` command, which must end with one of codes."""
        done = subprocess.run([str(self.bin / "ledge"), *map(str, args)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, **(env or {})})
        assert done.returncode in codes, f"ledge {args[0]}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def train(self, version, epochs):
        """(model, report): the recipe of the sign models, small and short; the gate's word is kept, not obeyed."""
        folder = self.work / f"v{version}"
        settings = {"data.path": self.pictures, "input.width": 32, "input.height": 32, "model.dropout": 0,
                    "train.warmup": 0.5, "train.epochs": epochs}
        told = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        self.ledge("train", source / "examples/recipes/sign-senior.yaml", *told, "-o", folder, "--threads", 1, "--quiet")
        gate, report = self.work / "gate.yaml", folder / "report.json"
        gate.write_text(GATE)
        report.write_text(self.ledge("evaluate", folder / "model.onnx", "--data", self.pictures, "--gate", gate, "--json",
                                     codes=(0, 3)))
        return folder / "model.onnx", report

    def push(self, fleet, version):
        epochs = self.epochs[version - 1]
        model, report = self.train(version, epochs)
        told = self.ledge("model", "push", MODEL, model, "--gate-report", report, "--note", f"SIMULATED parts, {epochs} epochs",
                          "--hub", fleet.url, "--ca", fleet.hub_state / "ca.crt", "--json", env={"LEDGE_TOKEN": fleet.token})
        assert json.loads(told)["version"] == version, told
        top1 = json.loads(report.read_text())["top1"]
        self.say(f"{MODEL} v{version} is in the registry, top-1 {top1:.3f}")

    def start(self, fleet):
        """Three devices with version 1 and a function; returns when each has frames and the hub has doubtful pictures."""
        self.ledge("demo", "--generate", self.pictures)
        self.push(fleet, 1)
        for name in DEVICES:
            fleet.add_device(name)
        fleet.push_function("watch", source / "examples/functions/watch.py")
        config = {"source": str(self.pictures), "model": MODEL, "fps": 5, "order": "shuffled", "threshold": 0.999,
                  "sample_interval_s": 0.5, "metric_s": 2}
        made = [fleet.deploy([name], [{"name": MODEL, "version": 1}],
                             [{"name": "watch", "config": {**config, "seed": seed}}], wait=0)
                for seed, name in enumerate(DEVICES)]
        wait_for(lambda: all(map(fleet.deployed, made)), "version 1 is confirmed on every device", 60, 0.2)
        self.say(f"v1 and watch are confirmed on {len(DEVICES)} devices")
        wait_for(lambda: all(fleet.device(name)["fps"] for name in DEVICES), "every device sends frames", 30, 0.2)
        wait_for(lambda: fleet.api("GET", "/summary")["queue"] >= SAMPLES, f"{SAMPLES} pictures wait for a label", 30, 0.2)
        self.push(fleet, 2)

    def node(self, fleet, *args, **env):
        """Exit code of node."""
        return subprocess.run(["node", *map(str, args)], timeout=170, cwd=source,
                              env={**os.environ, "HUB_URL": fleet.url, "TOKEN": fleet.token, "MODEL": MODEL,
                                   "DEVICES": str(len(DEVICES)), "CHROMIUM": chromium(), **env}).returncode

    def run(self, screens):
        shots = self.work / "screens"
        with Fleet(self.bin) as fleet:
            page, _, _ = fleet.raw("GET", "/app.js")
            if page != 200:
                print("skipped: this ledge-hub was built without the console (scripts/build_console, then build)")
                return 77
            if screens:
                assert self.node(fleet, here / "screens.mjs", shots / "empty") == 0, "pictures of the empty hub"
            self.start(fleet)
            if screens:
                assert self.node(fleet, here / "screens.mjs", shots / "before") == 0, "pictures of the running fleet"
            self.say("the browser's test begins")
            code = self.node(fleet, "--test", here / "console.test.mjs")
            if screens:
                assert self.node(fleet, here / "screens.mjs", shots / "after") == 0, "pictures of the new version"
            self.say(f"the browser's test ended with {code}")
            return code


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--screens", action="store_true")
    parser.add_argument("--sanitized", action="store_true")
    given = parser.parse_args()
    why = missing()
    if why is not None:
        print(f"skipped: {why}")
        return 77
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    epochs = EPOCHS_SANITIZED if given.sanitized else EPOCHS
    return Journey(given.bin, given.work.resolve(), epochs).run(given.screens)


if __name__ == "__main__":
    sys.exit(main())
