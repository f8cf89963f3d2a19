#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a busy neighbour costs: medians with one thread, with two, and with two while another process keeps one of the two CPUs busy.

Usage: bench/neighbour.py MODEL... [--ledge build/release/bin/ledge] [--seconds 1] [--rounds 5]
Milliseconds; the last column is the third median over the first. It is to stay below 1.3, and two threads alone below one. The three take
turns, so many rounds; a median of the rounds' medians is printed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys


def median(arguments, model, threads, cpus):
    done = subprocess.run([arguments.ledge, "bench", model, "--threads", str(threads), "--pin", ",".join(map(str, cpus)), "--runs", "100000",
                           "--seconds", str(arguments.seconds), "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["ms"]["p50"]


def beside_neighbour(arguments, model, cpus):
    spin = f"import os\nos.sched_setaffinity(0, {{{cpus[0]}}})\nwhile os.getppid() == {os.getpid()}:\n    pass"
    neighbour = subprocess.Popen([sys.executable, "-c", spin])
    try:
        return median(arguments, model, 2, cpus)
    finally:
        neighbour.kill()
        neighbour.wait()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--ledge", default="build/release/bin/ledge")
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    if len(cpus) < 2:
        sys.exit("bench/neighbour.py: needs two CPUs")
    print(f"{'model':40} {'1 thread':>9} {'2 threads':>9} {'neighbour':>9} ratio")
    for model in arguments.models:
        rounds = [(median(arguments, model, 1, cpus[1:]), median(arguments, model, 2, cpus), beside_neighbour(arguments, model, cpus))
                  for _ in range(arguments.rounds)]
        one, two, busy = (statistics.median(column) for column in zip(*rounds))
        print(f"{os.path.basename(model):40} {one:9.3f} {two:9.3f} {busy:9.3f} {busy / one:5.2f}", flush=True)


main()
