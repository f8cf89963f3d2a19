#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of ledge-serve for the table of limits: what it adds to a request, what a swap costs, what it weighs.

Usage: serve.py BIN      (build/release/bin; other work on the machine shows in the percentiles)
"""
import json
import pathlib
import struct
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "tests/serve"))
from serving import Server, clean  # noqa: E402
from tiny_onnx import conv_of  # noqa: E402

REQUESTS = 2000


def proportional_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def percentiles(times):
    times.sort()
    return f"p50 {times[len(times) // 2]:.3f} ms, p99 {times[int(len(times) * 0.99)]:.3f} ms"


def requests(server, body, headers, n=REQUESTS):
    link, times = server.link(), []
    for _ in range(n):
        start = time.perf_counter()
        status, _, _ = server.call("POST", "/v2/models/m/infer", body, headers, link)
        times.append((time.perf_counter() - start) * 1e3)
        assert status == 200
    link.close()
    return percentiles(times)


def main():
    bin_dir = pathlib.Path(sys.argv[1])
    program = bin_dir / "ledge-serve"
    with Server(program) as server:
        print(f"serve: PSS idle, no model {proportional_kb(server.child.pid)} KB, program {program.stat().st_size} bytes with symbols")
        model = server.root / "m.onnx"
        model.write_bytes(conv_of(1, 10))
        assert server.load("m", model)[0] == 200
        values = [float(i) for i in range(27)]
        text = json.dumps({"inputs": [{"name": "x", "shape": [1, 3, 3, 3], "datatype": "FP32", "data": values}]})
        raw = struct.pack("<27f", *values)
        print(f"serve: whole request, tiny model, unix socket, JSON: {requests(server, text, {})}")
        print(f"serve: the same, one raw tensor: {requests(server, raw, {'Inference-Header-Content-Length': '0'})}")
        before = server.metrics()
        requests(server, raw, {"Inference-Header-Content-Length": "0"})
        after = server.metrics()
        for stage in ("queue", "pre", "compute", "post"):
            name = f'ledge_infer_stage_seconds_%s{{model="m",version="1",stage="{stage}"}}'
            mean = (after[name % "sum"] - before[name % "sum"]) / (after[name % "count"] - before[name % "count"])
            print(f"serve: of it in the server, {stage}: mean {mean * 1e6:.1f} us")
    clean(server)
    done = subprocess.run([sys.executable, str(here.parent / "tests/serve/swap_test.py"), str(program), "--loads", "200"],
                          capture_output=True, text=True, check=False)
    print("".join(f"serve: swap: {line}\n" for line in done.stdout.splitlines()), end="")
    return done.returncode


sys.exit(main())
