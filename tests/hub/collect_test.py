#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blobs that nothing refers to are collected, by the real hub; nothing else is, whatever happens meanwhile.

Usage: collect_test.py BIN [NAME ...]    every test_… below, or those named; each has a hub of its own
"""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import threading
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "harness"))
sys.path.insert(0, str(here))
from fleet import ANSWER_S, wait_for  # noqa: E402
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


def audited(fleet):
    return rows(fleet, "select actor, subject, detail from audit where action = 'blob.collect' order by id")


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
    assert audited(fleet)[-2:] == [("admin", "blobs", "2, 1600 bytes"), ("admin", "files", "2, 20 bytes")]
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
        thread.join()
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
    thread.join()
    for sha256 in {m["sha256"] for m in made} | {r[0] for r in rows(fleet, "select sha256 from samples")}:
        assert fleet.raw("GET", f"/api/v1/blobs/{sha256}")[0] == 200
    assert len(rows(fleet, "select sha256 from samples")) == 60


# -- in the middle of a collection --------------------------------------------------------------------------------------

def fill(fleet, n):
    """n old blobs that nothing refers to."""
    names, one = [f"{random.getrandbits(256):064x}" for _ in range(n)], fleet.root / "one"
    one.write_bytes(b"x")
    os.utime(one, (1, 1))
    for name in names:  # links: quickly made
        path = blob_file(fleet, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(one, path)
    with sqlite3.connect(fleet.hub_state / "hub.db", timeout=10) as database:
        database.executemany("insert into blobs values (?, 1, 0)", ((name,) for name in names))
    database.close()


def connect(fleet):
    """A connection on which the hub waits for a request."""
    context = ssl.create_default_context(cafile=str(fleet.hub_state / "ca.crt"))
    link = context.wrap_socket(socket.create_connection(("127.0.0.1", fleet.port), timeout=ANSWER_S), server_hostname="127.0.0.1")
    link.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    assert b" 200 " in link.recv(4096)
    return link


def post(fleet, link):
    link.sendall(f"POST /api/v1/gc HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {fleet.token}\r\nContent-Type: application/json\r\n"
                 "Content-Length: 2\r\n\r\n{}".encode())


def open_rows(fleet):
    return rows(fleet, "select count(*) from collected where outcome is null")[0][0]


def caught(fleet, n=4000):
    """The connection of a client that waits for a collection of n blobs; the hub stands still (SIGSTOP) in its middle: some files
    are gone, and the pieces to come are more than a few. When the hub was quicker than this test, once more."""
    for _ in range(30):
        fill(fleet, n)
        link, asked = connect(fleet), rows(fleet, "select count(*) from collected")[0][0]
        post(fleet, link)
        while True:
            os.kill(fleet.hub.pid, signal.SIGSTOP)
            marked, left = rows(fleet, "select count(*) from collected")[0][0] > asked, open_rows(fleet)
            if marked and 1000 < left < n:
                return link
            os.kill(fleet.hub.pid, signal.SIGCONT)
            if marked and left <= 1000:
                break
            time.sleep(0.001)
        assert b" 200 " in link.recv(4096)
        link.close()
    raise AssertionError("the hub was never met in the middle of a collection")


def go_on(fleet):
    os.kill(fleet.hub.pid, signal.SIGCONT)


def leave(link, how):
    if how == "goodbye":  # TLS's; the hub's is not waited for
        link.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            link.unwrap()
    elif how == "reset":
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def descriptors(fleet):
    return len(os.listdir(f"/proc/{fleet.hub.pid}/fd"))


def blobs_left(fleet):
    """(rows, files); no row is without its file."""
    known = {r[0] for r in rows(fleet, "select sha256 from blobs")}
    there = {p.name for p in (fleet.hub_state / "blobs").rglob("*") if p.is_file()}
    assert known <= there, known - there
    return len(known), len(there)


def test_collect_client_gone(fleet):
    """Whoever asked leaves in the middle: the collection ends as if he had stayed, and the next one begins."""
    wait_for(lambda: b"\nledge_broker_connected 1\n" in fleet.raw("GET", "/metrics")[1], "the hub is at its broker")
    kept = push_blob(fleet, b"young")
    for how in "goodbye", "cut", "reset":
        before, other = descriptors(fleet), connect(fleet)
        link, done = caught(fleet), fleet.hub.text().count("collected 4000 blobs")
        leave(link, how)
        post(fleet, other)
        go_on(fleet)
        assert b" 409 " in other.recv(4096), "one at a time, and it is still under way"
        other.close()
        wait_for(lambda: fleet.hub.text().count("collected 4000 blobs") > done, f"the collection ends ({how})")
        assert open_rows(fleet) == 0 and blobs_left(fleet) == (1, 1)
        assert audited(fleet)[-1] == ("admin", "blobs", "4000, 4000 bytes")
        assert collect(fleet)["kept"] == {"n": 1, "bytes": 5}
        wait_for(lambda: descriptors(fleet) <= before, "nothing is left of the connections")
    assert fleet.raw("GET", f"/api/v1/blobs/{kept}")[1] == b"young"


def test_collect_no_timer(fleet):
    """The loop cannot be asked for another turn, at the start or in the middle: who asked is told so, and the next one does the rest."""
    fleet.hub.stop()
    fleet.hub.env = fleet.shim()
    fleet.start_hub()
    for turn, marked in (1, False), (2, True), (4, True), (12, True):
        fill(fleet, 1500)
        link, path = connect(fleet), fleet.no_timer(turn)
        post(fleet, link)
        answer = link.recv(4096)
        assert b" 500 " in answer and b"log says how" in answer and not path.exists(), (turn, answer)
        link.close()
        known, there = blobs_left(fleet)
        assert known == (0 if marked else 1500) and there == max(0, 1500 - 256 * (turn - 1)) == known + open_rows(fleet), (known, there)
        done = collect(fleet)
        assert done["blobs"]["n"] == known and open_rows(fleet) == 0 and blobs_left(fleet) == (0, 0), (turn, done)
    # Those who wait for something else.
    device = enrolled(fleet, "cam-1")
    segment = device.make([({"function": "f"}, b"x", 1)])
    fleet.no_timer(2)  # the first is its connection's
    status, body, _ = device.call("POST", "/api/v1/segments", segment)
    assert status == 500 and b"log says how" in body and rows(fleet, "select count(*) from records") == [(0,)], (status, body)
    assert device.call("POST", "/api/v1/segments", segment)[0] == 200 and rows(fleet, "select count(*) from records") == [(1,)]
    fleet.no_timer(2)
    assert "ask again" in refused(fleet, "GET", "/api/v1/devices/cam-1/logs?function=f", 503)
    assert not (fleet.root / "no_timer").exists()


def test_collect_stopped(fleet):
    """The hub is told to end in the middle, or killed: it says so to who waits, and the next start does the rest."""
    for number, gone in (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGKILL, True):
        link = caught(fleet)
        if gone:
            leave(link, "reset")
        fleet.hub.child.send_signal(number)
        go_on(fleet)
        if not gone:
            answer = b"".join(iter(lambda: link.recv(4096), b""))
            assert b" 503 " in answer and b"the hub is stopping" in answer, answer
            link.close()
        assert fleet.hub.child.wait(ANSWER_S) == (0 if number == signal.SIGTERM else -number)
        left, (known, there) = open_rows(fleet), blobs_left(fleet)
        piece = 256 if number == signal.SIGKILL else 0  # what it was killed in: written down or not, and seen from outside or not
        assert known == 0 and 0 < left and left - piece <= there <= left, (left, known, there)
        fleet.start_hub()
        assert open_rows(fleet) == 0 and blobs_left(fleet) == (0, 0)
        said = int(re.findall(r"(\d+) collected blobs were still on disk", fleet.hub.text())[-1])
        assert left - piece <= said <= left, (left, said)
        asked = audited(fleet)
        assert asked[-1] == ("admin", "blobs", "4000, 4000 bytes"), "it is known who asked"
        assert rows(fleet, "select outcome, count(*) from collected group by outcome") == [("removed", 4000 * asked.count(asked[-1]))]
        fresh = push_blob(fleet, b"fresh")
        assert collect(fleet)["blobs"]["n"] == 0 and fleet.raw("GET", f"/api/v1/blobs/{fresh}")[0] == 200
        write(fleet, "delete from blobs")
        blob_file(fleet, fresh).unlink()


run(globals())
