#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Key and certificate of a device are replaced, with the real hub and broker: by age, by order, killed at every step.

Usage: rotate_test.py BIN
"""
import argparse
import contextlib
import pathlib
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "hub"):
    sys.path.insert(0, str(here.parent / folder))
from agent import Agent  # noqa: E402
from device import openssl  # noqa: E402
from fleet import Fleet, wait_for  # noqa: E402

DAY_MS = 86400 * 1000
KILLS = ("ROTATE_REQUEST", "ROTATE_KEY", "ROTATE_SIGNED", "ROTATE_PROVE", "ROTATE_PROVEN", "ROTATE_SWITCH", "ROTATE_KEPT",
         "ROTATE_HALF", "ROTATE_MOVED", "ROTATE_CONFIRM", "ROTATE_CONFIRMED", "ROTATE_IDLE")


class Device(Agent):
    def certificate(self):
        """What the agent says of its own; {} while it is away."""
        with contextlib.suppress(OSError):
            return self.status()["certificate"]
        return {}

    def serial(self):
        done = subprocess.run(["openssl", "x509", "-in", self.state / "device.crt", "-noout", "-serial"], capture_output=True,
                              text=True, timeout=120)
        return done.stdout.strip().split("=")[-1].lower()

    def pair(self):
        """A copy of its key and certificate: what a thief would have."""
        copies = []
        for name in ("device.crt", "device.key"):
            copy = self.fleet.root / f"{self.name}-{time.monotonic_ns()}-{name}"
            copy.write_bytes((self.state / name).read_bytes())
            copies.append(copy)
        return copies

    def item(self):
        return self.fleet.device(self.name)

    def states(self):
        """{state: [serials]} of its certificates in the hub."""
        found = {}
        for row in self.fleet.items(f"/devices/{self.name}/certificates"):
            found.setdefault(row["state"], []).append(row["serial"])
        return found

    def restart(self, failpoint=None):
        self.program.stop()
        self.program.env = {"LEDGE_FAILPOINT": failpoint} if failpoint else {}
        self.program.start()

    def rotated(self, before):
        """Another certificate is in use on both sides, the old one is not, and nothing is left over."""
        mine, known = self.certificate(), self.item()
        if mine.get("rotation") != "IDLE" or mine["serial"] == before or known["certificate"]["due"]:
            return False
        states = self.states()
        assert states["in use"] == [mine["serial"]] == [known["certificate"]["serial"]] == [self.serial()], states
        assert before in states["revoked"] and "not proven" not in states, states
        left = [p.name for p in self.state.iterdir() if p.name.startswith(("next.", "prev."))]
        return known["online"] and not left


def write(fleet, sql, *args):
    with contextlib.closing(sqlite3.connect(fleet.hub_state / "hub.db", timeout=10)) as database, database:
        database.execute(sql, args)


def context_of(fleet, pair):
    context = ssl.create_default_context(cafile=str(fleet.hub_state / "ca.crt"))
    context.load_cert_chain(*pair)
    return context


def let_in(fleet, pair):
    """By (hub, broker)."""
    answer = []
    context = context_of(fleet, pair)
    with socket.create_connection(("127.0.0.1", fleet.port), timeout=120) as raw:
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as link:
            link.sendall(b"GET /api/v1/certificates/self HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer.append(b" 200 " in link.recv(100))
    with socket.create_connection(("127.0.0.1", fleet.broker_port), timeout=120) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as link:
                link.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04peek")
                answer.append(link.recv(4)[:1] == b"\x20")
        except (ssl.SSLError, ConnectionError):
            answer.append(False)
    return tuple(answer)


class Producer(threading.Thread):
    """Stores records without pause; repeats what was not answered."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device, self.number, self.stop = device, 0, False

    def run(self):
        while not self.stop:
            meta = {"function": "producer", "key": str(self.number)}
            try:
                done = self.device.record(meta, kind="metric")[0] == 200
            except OSError:
                done = False
            self.number += done
            time.sleep(0.002 if done else 0.05)


def test_by_age(fleet, device):
    """After two thirds of its life the hub asks; records flow meanwhile; the old pair is worth nothing then."""
    before, old, now = device.serial(), device.pair(), int(time.time() * 1000)
    assert let_in(fleet, old) == (True, True)
    assert not device.item()["certificate"]["due"]
    key = (device.state / "device.key").read_bytes()
    producer = Producer(device)
    producer.start()
    wait_for(lambda: producer.number > 5, "records flow")
    write(fleet, "update certificates set issued = ?, expires = ? where serial = ?", now - 1735 * DAY_MS, now + 90 * DAY_MS, before)
    assert device.item()["certificate"]["due"]
    device.restart()  # a hello; the next would come within a minute
    wait_for(lambda: device.rotated(before), "a new certificate is in use")
    assert (device.state / "device.key").read_bytes() != key, "the key is a new one"
    for name in ("device.key", "device.crt"):
        assert (device.state / name).stat().st_mode & 0o777 == 0o600, name
    expires = time.strptime(device.item()["certificate"]["expires"][:10], "%Y-%m-%d")
    assert 1820 < (time.mktime(expires) - time.time()) / 86400 < 1830
    wait_for(lambda: let_in(fleet, old) == (False, False), "the old pair is let in nowhere")
    assert let_in(fleet, device.pair()) == (True, True)
    wait_for(lambda: producer.number > 20, "records flow still")
    producer.stop = True
    producer.join()
    count = lambda: fleet.database().execute("select count(*), count(distinct key) from records where key like 'producer/%'"  # noqa: E731
                                             ).fetchone()
    wait_for(lambda: count() == (producer.number, producer.number), f"{producer.number} records, each once")


def test_by_order(fleet, device):
    """`ledge device rotate`; a device that is away is asked when it is back; one rotation for many orders."""
    def ledge(*args):
        done = subprocess.run([fleet.bin / "ledge", "device", *args, "--hub", fleet.url, "--token", fleet.token,
                               "--ca", fleet.hub_state / "ca.crt"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = device.serial()
    assert device.item()["certificate"]["expires"][:10] in ledge("list")
    assert "asked for a new key" in ledge("rotate", device.name)
    wait_for(lambda: device.rotated(before), "rotated by order")
    second = device.serial()
    device.program.stop()
    wait_for(lambda: not device.item()["online"], "it is away")
    assert "is away" in ledge("rotate", "--all") and "is away" in ledge("rotate", device.name)
    assert "(due)" in ledge("list") and device.item()["certificate"]["due"]
    device.restart()
    wait_for(lambda: device.rotated(second), "rotated when it was back")
    table = ledge("certificates", device.name)
    assert table.count("in use") == 1 and before in table and second in table, table
    third = device.serial()
    agent = subprocess.run([fleet.bin / "ledge-agent", "status", "--state", device.state], capture_output=True, text=True, timeout=120)
    assert f"certificate {third} until 2" in agent.stdout, agent.stdout
    audit = [row[0] for row in fleet.database().execute("select detail from audit where action = 'certificate.rotate'")]
    assert len(audit) == len(set(audit)) and third in audit, audit


def test_killed(fleet, device):
    """kill -9 at every step: the device comes back by itself, with the old pair or the new, and the rotation ends well."""
    for point in KILLS:
        before = device.serial()
        device.restart(point + ":kill")
        wait_for(lambda: device.item()["online"] and device.certificate(), "it is online")
        fleet.api("POST", f"/devices/{device.name}/rotate")
        wait_for(lambda: not device.program.running(), f"killed at {point}")
        device.program.env = {}
        device.program.start()
        wait_for(lambda: device.certificate() and device.status()["connected"], f"connected after {point}")
        if point == "ROTATE_IDLE":  # done but for tidying up: nothing is due any more
            wait_for(lambda: device.rotated(before), f"rotated after a kill at {point}")
        wait_for(lambda: device.rotated(before), f"rotated after a kill at {point}")
    for point in ("ROTATE_PROVEN", "ROTATE_HALF", "ROTATE_CONFIRMED"):  # a step that fails is done again
        before = device.serial()
        device.restart(point + ":error")
        wait_for(lambda: device.item()["online"] and device.certificate(), "it is online")
        fleet.api("POST", f"/devices/{device.name}/rotate")
        wait_for(lambda: device.program.text().count("certificate rotation: fail point") > 0, f"{point} fails")
        device.restart()
        wait_for(lambda: device.rotated(before), f"rotated after {point} failed")
        device.program.log.write_text("")


def test_back(fleet, device):
    """The hub's store is put back to before the new certificate: the device goes back to the old pair, killed on its way or not."""
    for point in (None, "ROTATE_BACK:kill", "ROTATE_HALF_BACK:kill"):
        before = device.serial()
        device.restart("ROTATE_CONFIRM:kill")
        wait_for(lambda: device.item()["online"] and device.certificate(), "it is online")
        fleet.api("POST", f"/devices/{device.name}/rotate")
        wait_for(lambda: not device.program.running(), "killed when it had switched")
        assert device.serial() != before
        write(fleet, "delete from certificates where proven is null and revoked is null")
        write(fleet, "update devices set rotate_asked = null")
        device.program.env = {"LEDGE_FAILPOINT": point} if point else {}
        device.program.start()
        if point:
            wait_for(lambda: not device.program.running(), f"killed at {point}")
            device.program.env = {}
            device.program.start()
        wait_for(lambda: device.certificate().get("serial") == before and device.certificate()["rotation"] == "IDLE", "back")
        assert let_in(fleet, device.pair()) == (True, True) and device.serial() == before
        wait_for(lambda: device.item()["online"], "it is online with the old one")
    device.restart()
    fleet.api("POST", f"/devices/{device.name}/rotate")
    wait_for(lambda: device.rotated(before), "and rotates when it is asked again")


def test_refused(fleet, device):
    """A new certificate that does not work is given up; the old one stays, and it is no loss of a connection."""
    before, errors = device.serial(), device.program.text().count("given up")
    device.restart("ROTATE_PROVE:kill")
    wait_for(lambda: device.item()["online"] and device.certificate(), "it is online")
    fleet.api("POST", f"/devices/{device.name}/rotate")
    wait_for(lambda: not device.program.running(), "killed with an unproven certificate")
    unproven, = device.states()["not proven"]
    assert fleet.raw("DELETE", f"/api/v1/devices/{device.name}/certificates/{unproven}")[0] == 204
    assert fleet.raw("DELETE", f"/api/v1/devices/{device.name}/certificates/{unproven}")[0] == 404
    status, text, _ = fleet.raw("DELETE", f"/api/v1/devices/{device.name}/certificates/{before}")
    assert status == 409 and b"rotate it" in text, text
    write(fleet, "update devices set rotate_asked = null")
    device.restart()
    wait_for(lambda: device.program.text().count("given up") > errors, "it is given up", 60)
    assert device.certificate() == {**device.certificate(), "serial": before, "rotation": "IDLE"}
    assert device.states()["in use"] == [before] and device.status()["connected"]


def valid(path):
    return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-checkend", "0"], capture_output=True, timeout=120).returncode == 0


AGAIN_KILLS = ("ROTATE_KEY", "ENROLLED", "ROTATE_SWITCH", "ROTATE_KEPT", "ROTATE_HALF", "ROTATE_MOVED", "ROTATE_CONFIRM")


def test_again(fleet, device):
    """Its certificate ran out: enrolled again, killed at every step, it comes back as the same device with all its records."""
    ca, other = fleet.hub_state, fleet.root / "cam-empty"
    token = lambda name=device.name: fleet.api("POST", "/enroll-tokens", {"device": name})["token"]  # noqa: E731

    def enroll(given, *more, env=None):
        return device.run("enroll", "--again", "--token", given, "--state", device.state, *more, env=env)

    def refused(code, words, *args):
        before, key = device.serial(), (device.state / "device.key").read_bytes()
        done = enroll(*args)
        assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1, done
        assert (device.serial(), (device.state / "device.key").read_bytes()) == (before, key)

    refused(5, "another process has it locked", token())
    device.program.stop()
    for code, words, *args in ((6, "refuses (401)", token("somebody-else")), (2, "stays it", token(), "--name", "cam-2"),
                               (6, "of another hub", token()[:53] + "0" * 64), (7, "connect", token(), "--hub", "https://127.0.0.1:1")):
        refused(code, words, *args)
    done = device.run("enroll", "--again", "--token", token(), "--state", other)
    assert done.returncode == 4 and "not enrolled yet" in done.stderr, done
    known = device.item()
    for number, point in enumerate((None, *AGAIN_KILLS)):
        before, key = device.serial(), (device.state / "device.key").read_bytes()
        openssl("x509", "-req", "-in", str(device.state / "device.csr"), "-CA", str(ca / "ca.crt"), "-CAkey", str(ca / "ca.key"),
                "-set_serial", str(1000 + number), "-days", "0", "-out", str(device.state / "device.crt"))
        wait_for(lambda: not valid(device.state / "device.crt"), "it ran out")
        device.restart()
        wait_for(lambda: device.said("`ledge-agent enroll --again`"), "the agent says what to do")
        assert device.record({"function": "again", "key": str(number)})[0] == 200
        assert device.status()["outbox"]["depth"] > 0
        device.program.stop()
        given = token()
        if point:
            assert enroll(given, env={"LEDGE_FAILPOINT": point + ":kill"}).returncode == -9, point
        if point in (None, "ROTATE_KEY", "ENROLLED", "ROTATE_HALF"):  # the command again; else the start does the rest
            done = enroll(given)
            assert done.returncode == 0 and f"enrolled as {device.name}" in done.stdout, (point, done)
        device.program.log.write_text("")
        device.restart()
        wait_for(lambda: device.certificate().get("rotation") == "IDLE" and device.item()["online"], f"it is back after {point}")
        states = device.states()
        assert states["in use"] == [device.serial()] and before in states["revoked"] and "not proven" not in states, (point, states)
        assert valid(device.state / "device.crt"), point
        assert (device.state / "device.key").read_bytes() != key, "the key is a new one"
        assert let_in(fleet, device.pair()) == (True, True), point
        wait_for(lambda: device.status()["outbox"]["depth"] == 0, "its records are sent")
        assert not [p.name for p in device.state.iterdir() if p.name.startswith(("next.", "prev."))], point
        assert device.item()["gen"] == known["gen"]
        device.program.stop()
    count, epochs = fleet.database().execute("select count(*), count(distinct epoch) from records where key like 'again/%'").fetchone()
    assert (count, epochs) == (1 + len(AGAIN_KILLS), 1), (count, epochs)
    device.restart()
    wait_for(lambda: device.item()["online"], "it is online")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--only", default="", help="part of a test's name")
    options = parser.parse_args()
    with Fleet(options.bin) as fleet:
        fleet.add_device("cam-1")
        device = Device(fleet, "cam-1")
        for test in (test_by_age, test_by_order, test_killed, test_back, test_refused, test_again):
            if options.only in test.__name__:
                started = time.monotonic()
                test(fleet, device)
                print(f"{test.__name__}: ok, {time.monotonic() - started:.1f} s", flush=True)
        logs = fleet.hub.text() + device.program.text()
        assert "AddressSanitizer" not in logs and "runtime error" not in logs and "LeakSanitizer" not in logs, logs[-3000:]


main()
