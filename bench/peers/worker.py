# SPDX-License-Identifier: Apache-2.0
"""One engine with one model in a process of its own; bench/peers/run talks to it, one JSON value a line each way.

Usage: worker.py ENGINE BASE KIND THREADS CPUS LIBLEDGE
  {"open": FILE}     map the engine, open the model, run once on the input in FILE.npy, keep the answers in FILE.ENGINE.npz
  {"run": N}         two runs, then N timed ones: milliseconds of each, by the clock and of processor time
  end of input       the end
"""
import ctypes
import json
import os
import sys
import time

cpus = {int(c) for c in sys.argv[5].split(",")}
os.sched_setaffinity(0, cpus)  # before an engine counts its processors

import numpy as np  # noqa: E402

from engines import ENGINES, Ledge, Unavailable  # noqa: E402


def resident_kb():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def open_model(engine, name, path):
    x = np.load(path + ".npy")
    before, from_ = resident_kb(), time.perf_counter()
    engine.open()
    opened = time.perf_counter()
    engine.bind(x)
    bound = time.perf_counter()
    engine.run()
    ran = time.perf_counter()
    answers = engine.answers()
    for _ in range(2):
        engine.run()
    np.savez(f"{path}.{name}.npz", *answers)
    return {"load_ms": (opened - from_) * 1e3, "first_ms": (ran - bound) * 1e3, "rss_kb": resident_kb() - before,
            "arena_bytes": engine.arena(), "library_bytes": engine.sizes(), "version": engine.version(),
            "held": held(name)}


def held(name):
    """Did --rung take effect? Ledge obeys LEDGE_CPU; the others see the processor through hold_cpu.c."""
    if name == "ledge":
        return os.environ.get("LEDGE_CPU", "") != ""
    try:
        return ctypes.c_int.in_dll(ctypes.CDLL(None), "hold_cpu_active").value == 1
    except ValueError:
        return False


def timed_runs(engine, n):
    """Milliseconds of each run by the clock, and of processor time of all threads: the second leaves out what others took."""
    clock, used, run, wall, cpu = time.perf_counter_ns, time.process_time_ns, engine.run, [], []
    run()
    run()
    for _ in range(n):
        used_before, start = used(), clock()
        run()
        end, used_after = clock(), used()
        wall.append((end - start) / 1e6)
        cpu.append((used_after - used_before) / 1e6)
    return wall, cpu


def main():
    name, base, kind, threads, _, Ledge.library = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # some engines talk on stdout
    engine = None
    for line in sys.stdin:
        request, reply = json.loads(line), {}
        try:
            if "open" in request:
                engine = ENGINES[name](base, kind, int(threads))
                reply = open_model(engine, name, request["open"])
            else:
                reply["ms"], reply["cpu_ms"] = timed_runs(engine, request["run"])
        except Exception as why:  # whatever an engine throws, the table says it
            reply["why"] = f"{type(why).__name__}: {why}" if not isinstance(why, Unavailable) else str(why)
        replies.write(json.dumps(reply) + "\n")
    os._exit(0)  # some engines crash while they clean up


main()
