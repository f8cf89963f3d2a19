#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Idle memory of an agent and its time from start to connected, on a real hub and broker on loopback.

Usage: agent.py BIN
"""
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/harness"))
from fleet import Fleet, wait_for  # noqa: E402

ROUNDS = 7
IDLE_SECONDS = 10


def memory(pid):
    """PSS and private dirty of a process, in kB."""
    values = dict(line.split()[:2] for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(values["Pss:"]), int(values["Private_Dirty:"])


def main():
    with Fleet(sys.argv[1]) as fleet:
        agent = fleet.add_device("bench")
        time.sleep(IDLE_SECONDS)
        pss, dirty = memory(agent.pid)
        print(f"agent idle: PSS {pss} kB, private dirty {dirty} kB (gate 9000, 2500)")
        times = []
        for _ in range(ROUNDS):
            agent.stop()
            wait_for(lambda: not fleet.device("bench")["online"], "offline")
            mark = len(agent.text())
            began = time.monotonic()
            agent.start()
            wait_for(lambda: "connected" in agent.text()[mark:], "the agent says connected", 40, 0.001)
            times.append((time.monotonic() - began) * 1000)
        print(f"agent start to connected: median {statistics.median(times):.0f} ms, min {min(times):.0f}, max {max(times):.0f}"
              f" of {ROUNDS} (the agent's own start jitter included)")


main()
