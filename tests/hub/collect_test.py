#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blobs that nothing refers to are collected, by the real hub; nothing else is, whatever happens meanwhile.

Usage: collect_test.py BIN [NAME ...]    every test_… below, or those named; each has a hub of its own
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "harness"))
sys.path.insert(0, str(here))
from fleet import wait_for  # noqa: E402
from shared import enrolled, png, refused, rows, run, write  # noqa: E402


def blob_file(fleet, sha256):
    return fleet.hub_state / "blobs/sha256" / sha256[:2] / sha256


def push_blob(fleet, data):
    status, body, _ = fleet.raw("POST", "/api/v1/blobs", data)
    assert status == 201
    return json.loads(body)["sha256"]


def collect(fleet, **options):
    return fleet.api("POST", "/gc", options)


def make_old(fleet, seconds=90000):
    """Every blob and file of the store is older than the grace period."""
    then = time.time() - seconds
    write(fleet, "update blobs set created = ?", int(then * 1000))
    for path in (fleet.hub_state / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def test_collect(fleet):
    device = enrolled(fleet, "cam-1")
    pushed = fleet.root / "model.onnx"
    probe = push_blob(fleet, b"a probe")
    pushed.write_bytes(b"a model")
    model = fleet.push_model("signs", pushed, {"probe": probe})["sha256"]
    pushed.write_bytes(b"an older model")
    gone_version = fleet.push_model("signs", pushed)
    pushed.write_bytes(b"a function")
    function = fleet.push_function("watch", pushed)["sha256"]
    link = device.mqtt().subscribe().hello()
    fleet.deploy(["cam-1"], models=[{"name": "signs", "version": 2}], wait=0)
    link.expect("desired")  # it has the document, and will fetch some day
    status, body, _ = fleet.raw("POST", "/api/v1/samples", png(1), {"X-Label": "a"})
    sample = json.loads(body)["sha256"]
    assert status == 201 and device.call("POST", "/api/v1/segments", device.make([({"content_type": "image/png"}, png(2), 2)]))[0] == 200
    frozen = fleet.api("POST", "/datasets/d/versions", {"from": "labels"})["sha256"]
    # Only the device's status names this one: what it runs was pushed to a store before this one.
    running = push_blob(fleet, b"what a device runs")
    link.publish("status", {"v": 1, "gen": 0, "state": "IDLE", "models": [{"name": "x", "version": 1, "sha256": running}], "functions": []})
    wait_for(lambda: fleet.device("cam-1")["models"], "its status is known")
    write(fleet, "delete from versions where version = 2 and name = 'signs'")  # the document alone stands for it
    used = {model, probe, function, gone_version["sha256"], sample, frozen, running}
    used |= {r[0] for r in rows(fleet, "select sha256 from samples")}
    assert len(used) == 8
    unused = [push_blob(fleet, f"unused {i}".encode() * 100) for i in range(3)]
    assert collect(fleet)["blobs"]["n"] == 0, "all is young"
    make_old(fleet)
    touched = push_blob(fleet, b"unused 2" * 100)  # pushed again: somebody is about to name it
    assert touched == unused[2]
    fresh = push_blob(fleet, b"fresh")
    # Files of a crash: without a row, half written; and what is none of ours.
    orphan, half, young, strange = (blob_file(fleet, "0" * 63 + n) for n in "1234")
    half, strange = half.with_name(half.name + ".tmp"), strange.with_name("README")
    for path in orphan, half, young, strange:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10)
        if path != young:
            os.utime(path, (1, 1))
    found = collect(fleet, dry_run=True)
    assert found["dry_run"] and found["grace_s"] == 86400 and found["failed"] == 0
    assert {i["sha256"]: i["why"] for i in found["items"]} == {
        unused[0]: "nothing refers to it", unused[1]: "nothing refers to it", orphan.name: "no row knows it",
        half.name: "half written"}, found
    assert found["blobs"] == {"n": 2, "bytes": 1600} and found["files"] == {"n": 2, "bytes": 20} and found["kept"]["n"] == 10
    assert orphan.exists() and half.exists() and all(blob_file(fleet, s).exists() for s in unused)
    assert rows(fleet, "select count(*) from collected") == [(0,)]
    out = subprocess.run([fleet.bin / "ledge", "gc", "-n", "--hub", fleet.url, "--token", fleet.token, "--ca", fleet.hub_state / "ca.crt"],
                         capture_output=True, text=True, timeout=60).stdout
    assert unused[0][:20] in out and "would remove 2 blobs, 1.60 kB, and 2 stray files, 20 B; 10 blobs, 1.14 kB, stay" in out, out
    done = collect(fleet)
    assert {**done, "dry_run": True} == found
    assert not orphan.exists() and not half.exists() and young.exists() and strange.exists()
    assert not any(blob_file(fleet, s).exists() for s in unused[:2])
    for sha256 in used | {touched, fresh}:
        assert fleet.raw("GET", f"/api/v1/blobs/{sha256}")[0] == 200, sha256
    for sha256 in unused[:2]:
        refused(fleet, "GET", f"/api/v1/blobs/{sha256}", 404)
    assert device.call("GET", f"/api/v1/blobs/{gone_version['sha256']}")[0] == 200, "the deployment in flight goes on"
    assert sorted(rows(fleet, "select sha256, size, why, outcome from collected")) == sorted([
        *((s, 800, "nothing refers to it", "removed") for s in unused[:2]),
        (orphan.name, 10, "no row knows it", "removed"), (half.name, 10, "half written", "removed")])
    assert rows(fleet, "select actor, detail from audit where action = 'blob.collect' order by id")[-1] == (
        "admin", "2 blobs, 1600 bytes; 2 files, 20 bytes")
    assert collect(fleet)["blobs"]["n"] == 0 and push_blob(fleet, b"unused 0" * 100) == unused[0]
    assert fleet.raw("GET", f"/api/v1/blobs/{unused[0]}")[1] == b"unused 0" * 100
    for wrong in {"grace_s": 0}, {"grace_s": "1"}, {"dry_run": 1}:
        refused(fleet, "POST", "/api/v1/gc", 400, body=json.dumps(wrong).encode())


def test_collect_killed(fleet):
    """Killed between the rows and the files: the journal is taken up at the next start; what was pushed again stays."""
    lost, back = push_blob(fleet, b"lost"), push_blob(fleet, b"back")
    fleet.hub.kill()
    for sha256 in lost, back:  # as the transaction leaves it
        write(fleet, "insert into collected(sha256, size, created, why, ts) values (?, 4, 0, 'nothing refers to it', 0)", sha256)
    write(fleet, "delete from blobs where sha256 = ?", lost)
    fleet.start_hub()
    assert not blob_file(fleet, lost).exists() and blob_file(fleet, back).exists()
    assert rows(fleet, "select sha256, outcome from collected order by id") == [(lost, "removed"), (back, "back")]
    # Killed at random while it works: no row is ever without its file.
    random.seed(4)
    for _ in range(6):
        for i in range(400):
            path = blob_file(fleet, f"{random.getrandbits(256):064x}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
            write(fleet, "insert into blobs values (?, 1, 0)", path.name) if i < 40 else None
        make_old(fleet)
        thread = threading.Thread(target=lambda: fleet.raw("POST", "/api/v1/gc", b"{}"), daemon=True)
        threading.excepthook = lambda args: None  # its hub was killed
        thread.start()
        time.sleep(random.uniform(0.005, 0.1))
        fleet.hub.kill()
        thread.join(30)
        known = {r[0] for r in rows(fleet, "select sha256 from blobs")}
        there = {p.name for p in (fleet.hub_state / "blobs").rglob("*") if p.is_file()}
        assert known <= there, known - there
        fleet.start_hub()
        assert rows(fleet, "select count(*) from collected where outcome is null") == [(0,)]
    collect(fleet)
    assert rows(fleet, "select count(*) from blobs") == [(0,)]
    assert not [p for p in (fleet.hub_state / "blobs").rglob("*") if p.is_file()]


def test_collect_while_pushing(fleet):
    """Versions are pushed and deployed while collections run and everything is always old: none is ever taken."""
    device, stop, runs = enrolled(fleet, "cam-1"), threading.Event(), []

    def sweep():
        while not stop.is_set():
            make_old(fleet)
            status, body, _ = fleet.raw("POST", "/api/v1/gc", b"{}")
            assert status == 200, body
            runs.append(json.loads(body)["blobs"]["n"])

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    made, path = [], fleet.root / "model.onnx"
    for i in range(60):
        path.write_bytes(b"same" if i % 3 == 0 else os.urandom(1000))
        made.append(fleet.push_model(f"m{i}", path))
        push_blob(fleet, os.urandom(100))
        if i % 10 == 0:
            fleet.deploy(["cam-1"], models=[{"name": f"m{i}", "version": 1}], wait=0)
        assert device.call("POST", "/api/v1/segments", device.make([({"content_type": "image/png"}, png(i), 2)]))[0] == 200
    wait_for(lambda: len(runs) > 5 and sum(runs) > 20, "collections have run")
    stop.set()
    thread.join(30)
    for sha256 in {m["sha256"] for m in made} | {r[0] for r in rows(fleet, "select sha256 from samples")}:
        assert fleet.raw("GET", f"/api/v1/blobs/{sha256}")[0] == 200
    assert len(rows(fleet, "select sha256 from samples")) == 60


run(globals())
