#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a fleet costs one clear line and not one request: a real hub, broker, agent and ledge-serve, and a
function that asks its model all the time.

Usage: failures_test.py BIN [--only WORD] [--deployments 50] [--sanitized]
"""
import argparse
import base64
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "hub", "serve"):
    sys.path.insert(0, str(here.parent / folder))
from agent import Agent  # noqa: E402
from device import Mqtt, openssl, text  # noqa: E402
from fleet import Fleet, Program, children, command, wait_for  # noqa: E402
import tiny_onnx  # noqa: E402

FINAL = ("CONFIRMED", "REJECTED", "FAILED", "ROLLED_BACK", "INCONSISTENT", "SUPERSEDED")


def model_of(offset, **more):
    return tiny_onnx.conv_of(1.0, float(offset), side=1, **more)


def heavy_model(offset, n_bytes):
    return model_of(offset, metadata={"padding": hashlib.sha256(str(offset).encode()).hexdigest() * (n_bytes // 64)})


def unsupported_model():
    dims = ["n", 3, 1, 1]
    return tiny_onnx.model([tiny_onnx.node("Conv", ["x", "w"], ["t"], "first"),
                            tiny_onnx.node("Frobnicate", ["t"], ["y"], "second")],
                           [tiny_onnx.value_info("x", dims)], [tiny_onnx.value_info("y", dims)],
                           [tiny_onnx.floats("w", [3, 3, 1, 1], [1.0] * 9)])


def probe_of(answers):
    return json.dumps({"inputs": [{"name": "x", "shape": [1, 3, 1, 1], "datatype": "FP32", "data": [1, 1, 1]}],
                       "outputs": [{"name": "y", "data": answers}], "tolerance": 0.001}).encode()


class Cutter(threading.Thread):
    """A TCP forwarder that cuts a connection after `limit` bytes towards the device (None: never)."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to, self.limit, self.passed, self.cuts = port, None, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                down = self.listener.accept()[0]
                try:
                    up = socket.create_connection(("127.0.0.1", self.to), timeout=20)
                except OSError:
                    down.close()
                    continue
                for pump in (functools.partial(self.pump, down, up, False), functools.partial(self.pump, up, down, True)):
                    threading.Thread(target=pump, daemon=True).start()

    def pump(self, source, sink, downwards):
        passed = 0
        with contextlib.suppress(OSError):
            while True:
                piece = source.recv(16384)
                if not piece:
                    break
                sink.sendall(piece)
                if downwards:
                    passed += len(piece)
                    self.passed += len(piece)
                    if self.limit is not None and passed >= self.limit:
                        self.cuts += 1
                        break
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Site(Agent):
    """One device with its asker, and what a test does to it."""

    def __init__(self, fleet, name, url=None, state=None):
        super().__init__(fleet, name, state)
        token = fleet.api("POST", "/enroll-tokens", {"device": name})["token"]
        done = self.agent("enroll", "--hub", url or fleet.url, "--token", token, "--name", name)
        assert done.returncode == 0, done.stderr
        self.program = fleet.agents[name] = Program(name, [fleet.bin / "ledge-agent", "run", "--state", self.state,
                                                           "--spread", "0"], fleet.root / f"{name}.log").start()
        wait_for(lambda: fleet.device(name)["online"], f"{name} is online")

    def agent(self, verb, *args):
        return self.run(verb, "--state", self.state, *args)

    def count(self):
        def read():
            with contextlib.suppress(OSError, ValueError):
                return json.loads((self.state / "functions/asker/state/count").read_bytes())
            return None
        return wait_for(read, f"{self.name}: the asker counts")

    def forget(self):
        """What an asker counted that runs no more."""
        (self.state / "functions/asker/state/count").unlink()

    def answers(self, offset):
        wait_for(lambda: self.count()["offset"] == offset, f"{self.name} answers with offset {offset}")

    def mark(self):
        return len(self.program.text())

    def lines(self, words, since=0):
        return [line for line in self.program.text()[since:].splitlines() if words in line]

    def push(self, content, name="signs", probe=None):
        path = self.fleet.root / f"{name}.onnx"
        path.write_bytes(content)
        meta = {"probe": self.blob(probe)} if probe else {}
        return self.fleet.push_model(name, path, meta)

    def blob(self, content):
        status, answer, _ = self.fleet.raw("POST", "/api/v1/blobs", content, {"Content-Type": "application/octet-stream"})
        assert status == 201, answer
        return json.loads(answer)["sha256"]

    def deploy(self, models=(), functions=(), trial_s=0, wait=60):
        return self.fleet.deploy([self.name], models=[{"name": m["name"], "version": m["version"]} for m in models],
                                 functions=functions, trial_s=trial_s, wait=wait)

    def outcome(self, deployment):
        """(state, reason) in the hub, once it has ended."""
        def ended():
            device = self.fleet.api("GET", f"/deployments/{deployment}")["devices"][0]
            return device if device["state"] in FINAL else None
        device = wait_for(ended, f"deployment {deployment} ends", 90, 0.1)
        return device["state"], device["reason"]

    def expect(self, deployment, state, *words):
        """The deployment ends in `state`, its reason is one line with all the words; print it."""
        got, reason = self.outcome(deployment)
        assert got == state and reason and "\n" not in reason and all(w in reason for w in words), (got, reason, words)
        show(f"{got}: {reason}")

    def said(self, words, since, seconds=60):
        """The line of the agent's log with these words; print it."""
        found = wait_for(lambda: self.lines(words, since), f"{self.name} says {words!r}", seconds)
        show(found[0].split(" ", 1)[1])
        return found


def show(line):
    print(f"    {line}", flush=True)


@contextlib.contextmanager
def serving(site, offset=None):
    """Not one request fails meanwhile, and afterwards the model is still (or now) the one of this offset."""
    before = site.count()
    offset = before["offset"] if offset is None else offset
    yield
    wait_for(lambda: site.count()["asked"] > before["asked"] + 10 and site.count()["offset"] == offset,
             f"{site.name} serves the model with offset {offset}, not {site.count()}")
    after = site.count()
    assert after["failed"] == before["failed"], after
    show(f"{after['asked'] - before['asked']} requests meanwhile, 0 failed")


def as_hub(fleet, name="tester"):
    """An MQTT link with the hub's certificate: what somebody can do who has the broker. With the name of a device it takes
    the device's place until that connects again."""
    def context():
        made = ssl.create_default_context(cafile=str(fleet.hub_state / "ca.crt"))
        made.load_cert_chain(fleet.hub_state / "hub.crt", fleet.hub_state / "hub.key")
        return made
    return Mqtt(types.SimpleNamespace(name=name, context=context, enrolled={"broker": {"port": fleet.broker_port}}))


def send(mqtt, topic, data):
    mqtt.number += 1
    mqtt.packet(0x32, text(topic) + struct.pack(">H", mqtt.number) + data)


def envelopes(fleet, device):
    """{generation: envelope} as the hub has signed them."""
    return dict(fleet.database().execute("select gen, envelope from desired where device = ?", (device,)).fetchall())


# -- models ---------------------------------------------------------------------------------------------------------------


def test_no_model(site):
    """Bytes that are no model."""
    with serving(site):
        site.expect(site.deploy([site.push(b"this is no model at all")], wait=0), "ROLLED_BACK", "model signs version")


def test_cut_model(site):
    """A model whose file lacks its end, as its author has pushed it."""
    with serving(site):
        site.expect(site.deploy([site.push(model_of(20)[:-40])], wait=0), "ROLLED_BACK", "model signs version")


def test_unsupported_operator(site):
    with serving(site):
        site.expect(site.deploy([site.push(unsupported_model())], wait=0), "ROLLED_BACK", "model signs version", "Frobnicate")


def test_wrong_probe(site):
    """A model that loads and answers something else than where it was made."""
    with serving(site):
        site.expect(site.deploy([site.push(model_of(30), probe=probe_of([1.0, 2.0, 3.0]))], wait=0), "ROLLED_BACK",
                    "model signs version", "probe")
    with serving(site, 31):
        site.deploy([site.push(model_of(31), probe=probe_of([34.0, 35.0, 36.0]))])


def test_one_bad_of_two(site):
    """The good one of two models was swapped already: it goes back too."""
    with serving(site):
        site.expect(site.deploy([site.push(model_of(40)), site.push(b"junk", name="words")], wait=0), "ROLLED_BACK",
                    "model words version 1")
    loaded = [m["name"] for m in site.status()["models"] if m["state"] == "loaded"]
    assert loaded == ["signs"], site.status()["models"]


# -- blobs ----------------------------------------------------------------------------------------------------------------


def blob_file(site, sha256):
    path = site.fleet.hub_state / "blobs" / "sha256" / sha256[:2] / sha256
    os.chmod(path, 0o600)
    return path


def test_flipped_blob(site):
    """One bit of the hub's file has flipped."""
    made = site.push(model_of(50))
    path = blob_file(site, made["sha256"])
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with serving(site):
        site.expect(site.deploy([made], wait=0), "FAILED", "blob " + made["sha256"][:16], "digest")
    site.push(whole)  # the same bytes once more: the version is known, the file is whole again
    with serving(site, 50):
        site.deploy([made])


def test_truncated_blob(site):
    """The hub's file has lost its end; the device waits, and goes on when somebody has pushed it again."""
    content = model_of(60)
    made, since = site.push(content), site.mark()
    blob_file(site, made["sha256"]).write_bytes(content[:-50])
    with serving(site):
        deployment = site.deploy([made], wait=0)
        site.said("blob " + made["sha256"][:16], since)
        found = wait_for(lambda: [line for line in site.fleet.hub.text().splitlines()
                                  if "blob " + made["sha256"][:16] in line and "bytes" in line], "the hub says what is wrong")
        show(found[0].split(" ", 1)[1])
    site.push(content)
    with serving(site, 60):
        wait_for(lambda: site.fleet.deployed(deployment), "it goes on by itself", 60)


def test_cut_connection(site, cutter):
    """A server that ends every connection in the middle: each attempt goes on where the last one ended."""
    content = heavy_model(70, 600_000)
    made, since = site.push(content), site.mark()
    cutter.limit, cutter.passed, cutter.cuts = 150_000, 0, 0
    with serving(site, 70):
        deployment = site.deploy([made], wait=0)
        site.said("again in", since)
        wait_for(lambda: site.fleet.deployed(deployment), "all of it has come", 90)
    cutter.limit = None
    assert cutter.cuts >= 3 and cutter.passed < 1.5 * len(content), (cutter.cuts, cutter.passed)
    show(f"{cutter.cuts} connections cut, {cutter.passed} bytes for a blob of {len(content)}")


# -- documents ------------------------------------------------------------------------------------------------------------


def test_wrong_documents(site, other):
    """Somebody has the broker and the hub's certificate, but not the director's key."""
    running = site.status()["running"]
    signed = envelopes(site.fleet, site.name)
    newest = json.loads(signed[max(signed)])
    document = json.loads(base64.b64decode(newest["payload"]))
    forged = {**newest, "payload": base64.b64encode(json.dumps({**document, "gen": 999}).encode()).decode()}
    cases = [(json.dumps(forged).encode(), "desired document refused: the signature is wrong"),
             (json.dumps({**newest, "keyid": "0" * 16}).encode(), "desired document refused: signed by key 0000000000000000"),
             (envelopes(site.fleet, other.name)[1].encode(), f"desired document refused: it is for device {other.name}"),
             (signed[1].encode(), f"desired document refused: generation 1 is not greater than {running}")]
    before = {d["id"]: site.outcome(d["id"]) for d in site.fleet.items("/deployments") if d["devices"][0]["id"] == site.name}
    mqtt = as_hub(site.fleet)
    with serving(site):
        for envelope, words in cases:
            since = site.mark()
            send(mqtt, f"ledge/1/{site.name}/d/desired", envelope)
            site.said(words, since)
            wait_for(lambda: site.fleet.device(site.name)["state"] == "REJECTED" and
                     words.split("refused: ")[1] in (site.fleet.device(site.name)["reason"] or ""), "the hub hears of it")
    mqtt.close()
    assert site.status()["running"] == running
    after = {d["id"]: site.outcome(d["id"]) for d in site.fleet.items("/deployments") if d["devices"][0]["id"] == site.name}
    assert after == before, "a forged document changed what the hub knows of real ones"
    with serving(site, 80):
        site.deploy([site.push(model_of(80))])


# -- full disk ------------------------------------------------------------------------------------------------------------


def fill(folder):
    """Take every free byte; the file."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as out:
        with contextlib.suppress(OSError):
            while out.write(bytes(4096)) == 4096:
                pass
    return path


@contextlib.contextmanager
def small_disk(mount, megabytes):
    """A file system of its own at `mount`; yields False where that is not allowed."""
    mount.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(mount)], capture_output=True,
                          text=True)
    if done.returncode != 0:
        show(f"skipped: a small file system cannot be mounted here ({done.stderr.strip()})")
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(mount)], check=False)


def test_full_hub(options):
    """The hub's disk: nothing is acknowledged that is not stored; later it all arrives, once."""
    with tempfile.TemporaryDirectory(prefix="ledge-fleet-") as root, small_disk(pathlib.Path(root) / "hub", 16) as mounted:
        if not mounted:
            return
        with Fleet(options.bin, root) as fleet:
            site = Site(fleet, "cam-1")
            fleet.push_function("asker", here / "asker.py")
            site.deploy([site.push(model_of(10))], [{"name": "asker", "version": 1}])
            site.answers(10)
            filler = fill(fleet.hub_state)
            with serving(site):
                keys, words = [], "records cannot be stored and are not acknowledged"

                def refused():
                    if words in fleet.hub.text():
                        return True
                    keys.append(f"full-hub-{len(keys)}")
                    assert site.record({"key": keys[-1]}, bytes(2000), "log")[0] == 200
                    return False
                wait_for(refused, "the hub says that it cannot store", step=0)
                show(next(line for line in fleet.hub.text().splitlines() if words in line).split(" ", 1)[1])
                status, body, _ = fleet.raw("POST", "/api/v1/models/signs/versions", model_of(11), {"X-Ledge-Meta": "{}"})
                show(f"POST /api/v1/models/signs/versions: {status} {json.loads(body)['detail']}")
                assert status == 507, status
                filler.unlink()
                wait_for(lambda: site.status()["outbox"]["depth"] == 0, "the outbox is empty again", 90)
            rows = [key for key, in fleet.database().execute("select json_extract(meta, '$.key') from records").fetchall()]
            assert sorted(rows) == sorted(keys), (len(rows), len(keys))
            assert len([line for line in fleet.hub.text().splitlines() if words in line]) <= 2, "the same line again and again"
            show(f"{len(keys)} records promised, {len(rows)} stored")


def test_full_disk(fleet):
    mount = fleet.root / "small-disk"
    with small_disk(mount, 8) as mounted:
        if mounted:
            fill_and_free(fleet, mount)


def fill_and_free(fleet, mount):
    site = None
    try:
        site = Site(fleet, "full-1", state=mount / "state")
        site.deploy([site.push(model_of(10))], [{"name": "asker", "version": 1}])
        site.answers(10)
        with serving(site):
            site.expect(site.deploy([site.push(heavy_model(90, 12_000_000))], wait=0), "FAILED", "no space left on disk")
        filler = fill(mount)
        with serving(site):
            status, answer = 200, {}
            for i in range(2000):
                status, answer = site.record({"key": f"full-{i}"}, kind="metric")
                if status != 200:
                    break
            assert status == 507, (status, answer)
            show(f"POST /v1/records: {status} {answer['detail']}")
            assert "space" in answer["detail"] and "\n" not in answer["detail"], answer
            since = site.mark()
            failed = site.deploy([site.push(model_of(91))], wait=0)
            site.expect(failed, "FAILED", "No space left on device")
            assert site.lines("No space left on device", since)
        filler.unlink()
        with serving(site, 91):  # the document comes again with the next hello, as after a lost connection
            assert site.record({"key": "after"}, kind="metric")[0] == 200
            as_hub(fleet, site.name)
            wait_for(lambda: fleet.deployed(failed), "it goes on by itself", 60)
        wait_for(lambda: site.status()["outbox"]["depth"] == 0, "every record that was promised arrives")
    finally:
        if site:
            fleet.agents.pop(site.name).stop()


# -- tokens ---------------------------------------------------------------------------------------------------------------


def test_enrolment_tokens(fleet):
    """A token that is wrong, used or expired: the device is told no, and the hub's log says why."""
    def enroll(name, token):
        done = subprocess.run([str(fleet.bin / "ledge-agent"), "enroll", "--hub", fleet.url, "--token", token, "--name", name,
                               "--state", str(fleet.root / ("state-" + name))], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def refused(name, token, words):
        code, error = enroll(name, token)
        assert code == 6 and error.count("\n") == 1 and "the hub refuses (401)" in error, (code, error)
        show(error.strip())
        found = wait_for(lambda: [line for line in fleet.hub.text().splitlines() if f"enrolment of {name} refused" in line],
                         "the hub's log says so")
        show(found[-1].split(" ", 1)[1])
        assert words in found[-1], found

    token = fleet.api("POST", "/enroll-tokens", {})["token"]
    kind, secret, pin = token.split(".")
    refused("gate-1", f"{kind}.{'0' * len(secret)}.{pin}", "no such token")
    assert enroll("gate-1", token)[0] == 0
    refused("gate-2", token, "used by gate-1")
    bound = fleet.api("POST", "/enroll-tokens", {"device": "gate-3"})["token"]
    refused("gate-4", bound, "for gate-3")
    with contextlib.closing(sqlite3.connect(next(fleet.hub_state.glob("*.db")), timeout=20)) as database, database:
        database.execute("update enroll_tokens set expires = 1577836800000 where device = 'gate-3'")
    refused("gate-3", bound, "expired at 2020-01-01T00:00:00Z")


def test_admin_token(fleet):
    env = {**os.environ, "LEDGE_CA": str(fleet.hub_state / "ca.crt"), "LEDGE_HUB": fleet.url}
    done = subprocess.run([str(fleet.bin / "ledge"), "device", "list"], capture_output=True, text=True, timeout=60,
                          env={**env, "LEDGE_TOKEN": "0" * 48})
    assert done.returncode != 0 and done.stderr.count("\n") == 1 and "token" in done.stderr, (done.returncode, done.stderr)
    show(f"{done.stderr.strip()} (exit code {done.returncode})")
    status, body, headers = fleet.raw("GET", "/api/v1/devices", headers={"Authorization": "Bearer wrong"})
    assert status == 401 and "json" in headers["Content-Type"], (status, body)
    show(f"GET /api/v1/devices: {status} {json.loads(body)['detail']}")
    done = subprocess.run([str(fleet.bin / "ledge"), "device", "list"], capture_output=True, text=True, timeout=60,
                          env={**env, "LEDGE_TOKEN": fleet.token})
    assert done.returncode == 0, done.stderr


# -- certificate ----------------------------------------------------------------------------------------------------------


def past_certificate(fleet, site):
    """A certificate of the hub's CA for the device's own key that ended in 2020."""
    work = fleet.root / "ca-work"
    work.mkdir()
    (work / "index.txt").write_text("")
    (work / "ca.cnf").write_text(f"""[ca]
default_ca = it
[it]
dir = {work}
database = {work}/index.txt
new_certs_dir = {work}
certificate = {fleet.hub_state}/ca.crt
private_key = {fleet.hub_state}/ca.key
default_md = sha256
rand_serial = yes
policy = any
[any]
commonName = supplied
""")
    openssl("ca", "-batch", "-config", str(work / "ca.cnf"), "-in", str(site.state / "device.csr"), "-notext", "-out",
            str(work / "past.crt"), "-startdate", "20190101000000Z", "-enddate", "20200101000000Z")
    return (work / "past.crt").read_bytes()


def test_expired_certificate(site):
    good, offset = (site.state / "device.crt").read_bytes(), site.count()["offset"]
    site.program.stop()
    (site.state / "device.crt").write_bytes(past_certificate(site.fleet, site))
    since = site.mark()
    site.forget()
    site.program.start()
    line = site.said("certificate expired", since)[0]
    assert "2020-01-01T00:00:00Z" in line and "device.crt" in line, line
    site.answers(offset)
    with serving(site):
        assert site.status()["connected"] is False
        assert site.record({"key": "while-expired"}, kind="metric")[0] == 200
        mark = site.count()["asked"]
        wait_for(lambda: site.count()["asked"] > mark + 200, "it goes on serving")
        assert len(site.lines("certificate expired", since)) == 1, "the same line again and again"
    site.program.stop()
    (site.state / "device.crt").write_bytes(good)
    site.program.start()
    wait_for(lambda: site.fleet.database().execute("select count(*) from records where json_extract(meta, '$.key') = "
                                                   "'while-expired'").fetchone()[0] == 1, "the record arrives later")


# -- broker ---------------------------------------------------------------------------------------------------------------


def test_broker_away(site):
    """A deployment that is made while the broker is being started again, to a device that is back before the hub is (its
    hello is heard by nobody), arrives at once, not with the next hello."""
    hub = site.fleet.hub.pid

    def broker():
        return next((pid for pid in children(hub) if "mosquitto" in command(pid)), None)

    made, since, old = site.push(model_of(120)), site.mark(), broker()
    with serving(site, 120):
        os.kill(old, signal.SIGKILL)
        deployment = site.deploy([made], wait=0)
        wait_for(lambda: broker() not in (old, None), "the broker is started again", step=0.002)
        os.kill(hub, signal.SIGSTOP)
        try:
            wait_for(lambda: site.lines("connected again", since), "the device is back")
        finally:
            os.kill(hub, signal.SIGCONT)
        wait_for(lambda: site.fleet.deployed(deployment), "it arrives", 30)


# -- rollback -------------------------------------------------------------------------------------------------------------


def test_rollback(site):
    """A new generation whose function dies at its start: the one before comes back, without the hub's help, once."""
    fleet = site.fleet
    good, offset = site.status()["running"], site.count()["offset"]
    pid = next(f["pid"] for f in site.status()["functions"] if f["name"] == "asker")
    fleet.push_function("broken", here / "broken.py")
    failed = fleet.deploy([site.name], models=[{"name": "signs", "version": site.push(model_of(100))["version"]}],
                          functions=[{"name": "broken", "version": 1}], trial_s=5, wait=0)
    with serving(site):
        site.expect(failed, "ROLLED_BACK", "function broken did not stay up", "exit code 1")
    status = site.status()
    assert status["running"] == good, status
    assert [f["name"] for f in status["functions"]] == ["asker"] and status["functions"][0]["pid"] == pid, status["functions"]
    gen = fleet.api("GET", f"/deployments/{failed}")["devices"][0]["gen"]
    assert (site.state / "current").resolve().name == str(good)
    # The same document once more, after a kill -9 too: it is known, and not tried again.
    mqtt, envelope = as_hub(fleet), envelopes(fleet, site.name)[gen].encode()
    for kill in (False, True):
        if kill:
            site.program.kill()
            since = site.mark()
            site.forget()
            site.program.start()
            wait_for(lambda: site.lines("connected to", since), "the agent is back")
        send(mqtt, f"ledge/1/{site.name}/d/desired", envelope)
        send(mqtt, f"ledge/1/{site.name}/d/desired", b"a mark in the log")
        wait_for(lambda: len(site.lines("envelope")) > kill, "it was looked at", 20)
    assert len(site.lines(f"generation {gen}: SWITCHING")) == 1, site.lines(f"generation {gen}:")
    # A hello has no reason: what the status said is kept.
    hello = {"v": 1, "online": True, "boot": "ab" * 8, "gen": good, "seen": gen, "state": "ROLLED_BACK", "epoch": "00" * 16,
             "next": 1, "acked": 0, "agent": "0", "cpu": "c"}
    send(mqtt, f"ledge/1/{site.name}/u/hello", json.dumps(hello).encode())
    wait_for(lambda: fleet.device(site.name)["cpu"] == "c", "the hello was taken")
    assert "broken" in site.outcome(failed)[1], site.outcome(failed)
    mqtt.close()
    site.answers(offset)
    with serving(site, 101):
        site.deploy([site.push(model_of(101))], trial_s=1)
    assert [f["name"] for f in site.status()["functions"]] == ["asker"]


# -- leaks ----------------------------------------------------------------------------------------------------------------


def sizes(site):
    """{program: (descriptors, resident KB)}"""
    pids = {"hub": site.fleet.hub.pid, "agent": site.program.pid}
    pids.update({"serve": pid for pid in children(site.program.pid) if "ledge-serve" in command(pid)})
    pids.update({"broker": pid for pid in children(site.fleet.hub.pid) if "mosquitto" in command(pid)})
    found = {}
    for name, pid in pids.items():
        rss = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        found[name] = (len(os.listdir(f"/proc/{pid}/fd")), int(rss.split()[1]))
    assert len(found) == 4, found
    return found


def test_many_deployments(site, n, sanitized):
    """Two models in turn: nobody's descriptors or memory grow."""
    models = [site.push(model_of(offset)) for offset in (111, 112)]
    functions = [{"name": "asker", "version": 1}]
    site.deploy([models[0]], functions)
    with serving(site, 111 + (n - 1) % 2):
        first = None
        for i in range(n):
            site.deploy([models[i % 2]])
            if i == n // 5:
                first = sizes(site)
        wait_for(lambda: all(sizes(site)[name][0] <= first[name][0] + 1 for name in first), "descriptors are given back", 20)
        last = sizes(site)
    for name in first:
        show(f"{name}: descriptors {first[name][0]} -> {last[name][0]}, resident {first[name][1]} -> {last[name][1]} KB")
        assert sanitized or last[name][1] <= first[name][1] + 2048, (name, first, last)
    folders = [p.name for p in (site.state / "gen").iterdir()]
    assert len(folders) == 2, folders


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--only", help="part of a test's name")
    parser.add_argument("--deployments", type=int, default=50)
    parser.add_argument("--sanitized", action="store_true", help="memory is not bounded: the sanitizer keeps what was freed")
    options = parser.parse_args()
    with Fleet(options.bin) as fleet:
        cutter = Cutter(fleet.port)
        cutter.start()
        site = Site(fleet, "cam-1", url=f"https://127.0.0.1:{cutter.port}")
        other = Site(fleet, "cam-2")
        fleet.push_function("asker", here / "asker.py")
        first = site.push(model_of(10))
        for each in (site, other):
            each.deploy([first], [{"name": "asker", "version": 1}])
            each.answers(10)
        fleet.agents[other.name].stop()
        tests = [(test_no_model, site), (test_cut_model, site), (test_unsupported_operator, site), (test_wrong_probe, site),
                 (test_one_bad_of_two, site), (test_flipped_blob, site), (test_truncated_blob, site),
                 (test_cut_connection, site, cutter), (test_wrong_documents, site, other), (test_full_disk, fleet),
                 (test_enrolment_tokens, fleet), (test_admin_token, fleet), (test_broker_away, site), (test_rollback, site),
                 (test_many_deployments, site, options.deployments, options.sanitized), (test_expired_certificate, site)]
        for test, *args in tests:
            if not options.only or options.only in test.__name__:
                print(f"{test.__name__}", flush=True)
                started = time.monotonic()
                test(*args)
                print(f"  ok, {time.monotonic() - started:.1f} s", flush=True)
    if not options.only or options.only in "test_full_hub":
        print("test_full_hub", flush=True)
        test_full_hub(options)


main()
