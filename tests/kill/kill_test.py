#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kill agent, hub, broker, serve and function with SIGKILL at random while records flow: none lost, none twice.

Every record holds a prediction of a small model, so ledge-serve is part of it.

Usage: kill_test.py BIN [--kills 20] [--devices 3] [--seed N]
"""
import argparse
import collections
import os
import pathlib
import random
import signal
import sys
import time

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "serve"):
    sys.path.insert(0, str(here.parent / folder))
from fleet import Fleet, children, command, wait_for  # noqa: E402
from tiny_onnx import conv_of  # noqa: E402

VICTIMS = ("agent", "hub", "broker", "serve", "function")


def find_child(pid, word):
    return next((child for child in children(pid) if word in command(child)), None)


def strike(fleet, victim, device):
    """Kill one process; agent and hub are started again by the test (an init system's job), the rest by their parents."""
    agent = fleet.agents[device]
    if victim == "agent":
        agent.kill()
        agent.start()
        return True
    if victim == "hub":
        fleet.hub.kill()
        fleet.hub.start()
        return True
    owner, word = {"broker": (fleet.hub, "mosquitto"), "serve": (agent, "ledge-serve"), "function": (agent, "producer")}[victim]
    pid = find_child(owner.pid, word) if owner.running() else None
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def ledger(fleet, device):
    keys = []
    for path in fleet.root.joinpath(device).rglob("ledger"):
        keys += path.read_text().split("\n")[:-1]
    return keys


def stored(fleet):
    rows = fleet.database().execute("select device, json_extract(meta, '$.key') from records "
                                    "where json_extract(meta, '$.function') = 'producer'").fetchall()
    return collections.Counter((device, key) for device, key in rows)


def predicted(fleet, device):
    """Records of the device that hold an answer of the model."""
    return fleet.database().execute("select count(*) from records where device = ? and json_extract(meta, '$.label') = '16'",
                                    (device,)).fetchone()[0]


def run(options):
    random.seed(options.seed)
    with Fleet(options.bin) as fleet:
        devices = [f"cam-{i + 1}" for i in range(options.devices)]
        for device in devices:
            fleet.add_device(device)
        fleet.push_function("producer", here / "producer.py")
        model = fleet.root / "probe.onnx"
        model.write_bytes(conv_of(1.0, 10.0, side=1))
        fleet.push_model("probe", model)
        fleet.deploy(functions=[{"name": "producer", "version": 1}], models=[{"name": "probe", "version": 1}])
        wait_for(lambda: all(len(ledger(fleet, d)) > 5 and predicted(fleet, d) for d in devices), "every device predicts")
        left = dict.fromkeys(VICTIMS, options.kills)
        started = time.monotonic()
        while any(left.values()):
            victim = random.choice([v for v, n in left.items() if n])
            if strike(fleet, victim, random.choice(devices)):
                left[victim] -= 1
            time.sleep(random.uniform(0.05, 0.6))
        print(f"killed {options.kills} times each: {', '.join(left)} in {time.monotonic() - started:.0f} s, seed {options.seed}")
        wait_for(fleet.healthy, "the hub is back", 60)
        wait_for(lambda: all(fleet.device(d)["online"] for d in devices), "every device is back", 90, 0.5)
        marks = {d: (len(ledger(fleet, d)), predicted(fleet, d)) for d in devices}
        wait_for(lambda: all(len(ledger(fleet, d)) > marks[d][0] + 3 for d in devices), "every device stores records again", 60)
        wait_for(lambda: all(predicted(fleet, d) > marks[d][1] + 3 for d in devices), "every device predicts again", 60)
        promised = {(d, key) for d in devices for key in ledger(fleet, d)}
        wait_for(lambda: not promised - set(stored(fleet)), "the hub has every promised record", 90, 0.5)
        counts = stored(fleet)
        lost = promised - set(counts)
        twice = [key for key, n in counts.items() if n > 1]
        states = {d: fleet.device(d) for d in devices}
        print(f"promised {len(promised)} records, lost {len(lost)}, stored twice {len(twice)}, "
              f"resent and refused as duplicates {fleet.api('GET', '/summary')['duplicates']}")
        print("fleet: " + ", ".join(f"{d} generation {s['gen']} {s['state']}" for d, s in states.items()))
        assert not lost and not twice
        assert all(s["gen"] == s["desired_gen"] for s in states.values()), states


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    run(parser.parse_args())


main()
