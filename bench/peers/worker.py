# SPDX-License-Identifier: Apache-2.0
"""One engine with one model in a process of its own; bench/peers/run talks to it, one JSON value a line each way.

Usage: worker.py ENGINE BASE KIND THREADS CPUS LIBLEDGE
  {"open": FILE}     map the engine, open the model, run once on the input in FILE.npy, keep the answers in FILE.ENGINE.npz
  {"run": N}         two runs, then N timed ones: milliseconds of each, by the clock and of processor time
  {"sample": S}      runs for so many seconds, and shares of the instructions seen there (held processes only)
  end of input       the end
"""
import ctypes
import json
import os
import pathlib
import sys
import time

cpus = {int(c) for c in sys.argv[5].split(",")}
os.sched_setaffinity(0, cpus)  # before an engine counts its processors

import numpy as np  # noqa: E402

import hold  # noqa: E402
from engines import ENGINES, Ledge, Unavailable  # noqa: E402

SAMPLE_US = 200


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
    """How the rung took effect, or None. Ledge obeys LEDGE_CPU; for the others hold_cpu.c answers for the processor."""
    if "HOLD_CPU" not in os.environ:
        return None
    if name == "ledge":
        return "told"
    process = ctypes.CDLL(None)
    value = lambda what: ctypes.c_int.in_dll(process, what).value  # noqa: E731
    return "faulting" if value("hold_cpu_faulting") else "patched" if value("hold_cpu_asked") else None


def sampled(engine, seconds):
    """Shares of the instructions that runs execute."""
    process, end = ctypes.CDLL(None), time.monotonic() + seconds
    if process.hold_cpu_sample(SAMPLE_US) != 0:
        raise OSError("no timer to sample with")
    while time.monotonic() < end:
        engine.run()
    process.hold_cpu_sample(0)
    count = ctypes.c_int.in_dll(process, "hold_cpu_samples")
    most = ctypes.c_ubyte * (hold.SLOT * min(count.value, hold.MOST_SAMPLES))
    found = hold.decode(bytes(most.in_dll(process, "hold_cpu_bytes")), pathlib.Path(f"{engine.base}.{os.getpid()}.bytes"))
    count.value = 0
    return hold.kinds(found, os.environ["HOLD_CPU"])


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
            elif "sample" in request:
                reply = sampled(engine, request["sample"])
            else:
                reply["ms"], reply["cpu_ms"] = timed_runs(engine, request["run"])
        except Exception as why:  # whatever an engine throws, the table says it
            reply["why"] = f"{type(why).__name__}: {why}" if not isinstance(why, Unavailable) else str(why)
        replies.write(json.dumps(reply) + "\n")
    os._exit(0)  # some engines crash while they clean up


main()
