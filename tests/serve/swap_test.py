#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients infer without pause while two versions of a model take turns: none fails, none gets a wrong answer.

Usage: swap_test.py LEDGE_SERVE [--loads 50] [--clients 4] [--sanitized]
Every answer must say one of the two versions and hold exactly that version's values; memory must not grow.
"""
import argparse
import hashlib
import json
import multiprocessing
import struct
import time

from serving import Server, clean, wait_for
from tiny_onnx import conv_of

SIDE, LAYERS = 32, 6
PIXELS = SIDE * SIDE
SCALES = {"1": (1.0, 10.0), "2": (2.0, 20.0)}
HEAD = json.dumps({"inputs": [{"name": "x", "shape": [1, 3, SIDE, SIDE], "datatype": "FP32",
                               "parameters": {"binary_data_size": 12 * PIXELS}}],
                   "parameters": {"binary_data_output": True}}).encode()


def client(number, server, stop, answered, results):
    """answered: {version: answers so far, of all clients}. Small whole numbers are exact in f32, so answers are compared for equality."""
    values = [float((number * 31 + i) % 64) for i in range(3 * PIXELS)]
    body = HEAD + struct.pack(f"<{3 * PIXELS}f", *values)
    sums = [values[i] + values[PIXELS + i] + values[2 * PIXELS + i] for i in range(PIXELS)]
    wanted = {version: struct.pack(f"<{3 * PIXELS}f", *[scale * s + offset + c for c in range(3) for s in sums])
              for version, (scale, offset) in SCALES.items()}
    link, counts, problems, times = server.link(), {"1": 0, "2": 0}, [], []
    while not stop.is_set() and len(problems) < 5:
        start = time.perf_counter()
        try:
            status, headers, answer = server.call("POST", "/v2/models/m/infer", body,
                                                  {"Inference-Header-Content-Length": str(len(HEAD))}, link)
        except OSError as problem:
            problems.append(repr(problem))
            continue
        times.append((time.perf_counter() - start) * 1e3)
        at = int(headers.get("Inference-Header-Content-Length") or len(answer))
        version = json.loads(answer[:at]).get("model_version")
        if status != 200 or answer[at:] != wanted.get(version):
            problems.append(f"status {status}, version {version}: {answer[:200]}")
        else:
            counts[version] += 1
            with answered[version].get_lock():
                answered[version].value += 1
    results.put((counts, problems, times))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--loads", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--sanitized", action="store_true", help="do not judge resident memory: a sanitizer keeps what was freed")
    options = parser.parse_args()
    with Server(options.program) as server:
        models, digests, probes = {}, {}, {}
        for version, (scale, offset) in SCALES.items():
            models[version] = server.root / f"{version}.onnx"
            models[version].write_bytes(conv_of(scale, offset, SIDE, layers=LAYERS))
            digests[version] = hashlib.sha256(models[version].read_bytes()).hexdigest()
            probes[version] = server.root / f"{version}.probe"
            probes[version].write_text(json.dumps({
                "inputs": [{"name": "x", "shape": [1, 3, SIDE, SIDE], "datatype": "FP32", "data": [1] * (3 * PIXELS)}],
                "outputs": [{"name": "y", "data": [3 * scale + offset + c for c in range(3) for _ in range(PIXELS)]}], "tolerance": 0}))

        def load(version):
            status, answer = server.load("m", models[version], version, sha256=digests[version], probe=str(probes[version]))
            assert status == 200 and answer["version"] == version, answer
            return answer
        load("1")
        sessions = server.metrics()["ledge_sessions_open"]
        context = multiprocessing.get_context("fork")
        stop, results, answered = context.Event(), context.Queue(), {version: context.Value("q", 0) for version in SCALES}
        clients = [context.Process(target=client, args=(i, server, stop, answered, results)) for i in range(options.clients)]
        for process in clients:
            process.start()
        wait_for(lambda: answered["1"].value > 0, "the first answers")
        warm = resident = loaded = 0
        for i in range(options.loads):
            load("2" if i % 2 == 0 else "1")
            loaded += 1
            if loaded == 1:
                wait_for(lambda: answered["2"].value > 0, "answers of version 2")
            if loaded == options.loads // 5:
                warm = server.resident_kb()
        resident = server.resident_kb()
        stop.set()
        found = [results.get(timeout=60) for _ in clients]
        for process in clients:
            process.join(60)
        problems = [text for _, texts, _ in found for text in texts]
        counts = {version: sum(f[0][version] for f in found) for version in SCALES}
        times = sorted(ms for _, _, part in found for ms in part)
        stats = server.get("/v2/models/m/stats")[1]
        metrics = server.metrics()
        print(f"requests {sum(counts.values())} ({counts['1']} by version 1, {counts['2']} by version 2), failed {len(problems)}, loads {loaded}")
        print(f"flip pause p50 {stats['swap']['p50_ms']:.4f} ms, p99 {stats['swap']['p99_ms']:.4f} ms, max {stats['swap']['max_ms']:.4f} ms; "
              f"last load {stats['load_ms']:.1f} ms")
        if times:
            print(f"a request as its client saw it: p50 {times[len(times) // 2]:.2f} ms, p99 {times[int(len(times) * 0.99)]:.2f} ms, "
                  f"max {times[-1]:.2f} ms")
        print(f"resident {warm} KB after {options.loads // 5} loads, {resident} KB after {loaded}; sessions open "
              f"{metrics['ledge_sessions_open']:.0f}")
        assert not problems, problems[:5]
        assert min(counts.values()) > 0, counts
        assert stats["failed"] == 0 and stats["loads"] == loaded + 1 and stats["swap"]["count"] == loaded + 1, stats
        assert metrics["ledge_sessions_open"] == sessions, "sessions of old versions are still open"
        if not options.sanitized:
            assert resident <= warm * 1.05 + 512, f"resident memory grew from {warm} to {resident} KB"
    clean(server)


if __name__ == "__main__":
    main()
