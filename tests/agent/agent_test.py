#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ledge-agent with the real hub, broker and ledge-serve: enrolment, local API, swaps, refusals, limits.

Usage: agent_test.py BIN [--sanitized]
"""
import argparse
import base64
import hashlib
import http.client
import json
import os
import pathlib
import signal
import ssl
import struct
import sys
import threading
import time
import types

here = pathlib.Path(__file__).resolve().parent
for folder in ("harness", "hub", "serve"):
    sys.path.insert(0, str(here.parent / folder))
from agent import Agent, Local  # noqa: E402
from device import Mqtt, openssl, text  # noqa: E402
from fleet import Fleet, Program, wait_for  # noqa: E402
from tiny_onnx import conv_of  # noqa: E402

SLEEPER = "#!/bin/sh\necho up $LEDGE_FUNCTION on $LEDGE_DEVICE $LEDGE_CONFIG\nexec sleep 1000\n"


def stored(fleet, key):
    return fleet.database().execute("select count(*) from records where json_extract(meta, '$.key') = ?", (key,)).fetchone()[0]


def write(fleet, name, content):
    path = fleet.root / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def one_line(done, code, words):
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_enroll(fleet):
    agent = Agent(fleet, "gate-1")
    token = fleet.api("POST", "/enroll-tokens", {"device": "gate-1"})["token"]
    secret, pin = token.split(".")[1:]

    def enroll(given, url=fleet.url, name="gate-1", env=None):
        return agent.run("enroll", "--hub", url, "--token", given, "--state", agent.state, "--name", name, env=env)

    for verb in ["run"], ["status"], ["enroll", "--again", "--token", token]:
        one_line(agent.run(*verb, "--state", agent.state), 4, "not enrolled yet")
    one_line(agent.run("rum"), 2, "'rum': enroll, run or status?")
    one_line(agent.run("run", "--spread", "5x"), 2, "--spread: '5x' is not a whole number from 0 to 3600000")
    one_line(agent.run("run", "--outbox-mb", "0"), 2, "--outbox-mb: '0' is not a whole number from 1 to 1048576")
    one_line(agent.run("status", "now"), 2, "unexpected argument 'now'")
    one_line(enroll("lt1.short"), 2, "not of the form")
    one_line(enroll(token, url=fleet.url.replace("https", "http")), 2, "https:// URL is needed")
    one_line(enroll(token, name="Gate 1"), 2, "is no device name")
    assert not agent.state.exists(), "nothing is made before it is clear that this can be a device"
    one_line(enroll(f"lt1.{secret}.{pin[:-1]}{'0' if pin[-1] != '0' else '1'}"), 6, "nothing was sent")
    one_line(enroll(f"lt1.{secret[:-1]}{'0' if secret[-1] != '0' else '1'}.{pin}"), 6, "the token is wrong")
    one_line(enroll(token, url="https://127.0.0.1:1"), 7, "refused")
    # Killed after the hub has spent the token: the same command gets the same certificate.
    assert enroll(token, env={"LEDGE_FAILPOINT": "ENROLLED:kill"}).returncode == -signal.SIGKILL
    key = (agent.state / "device.key").read_bytes()
    done = enroll(token)
    assert done.returncode == 0 and "enrolled as gate-1" in done.stdout, done
    assert (agent.state / "device.key").read_bytes() == key
    assert enroll(token).returncode == 0, "enrolled already is no failure"
    for name in ("device.key", "device.crt", "agent.json", "ca.crt"):
        assert (agent.state / name).stat().st_mode & 0o777 == 0o600, name
    assert agent.state.stat().st_mode & 0o777 == 0o700
    one_line(agent.run("status", "--state", agent.state), 7, "is it running?")
    agent.program = fleet.agents["gate-1"] = Program("gate-1", [fleet.bin / "ledge-agent", "run", "--state", agent.state],
                                                     fleet.root / "gate-1.log").start()
    wait_for(lambda: fleet.device("gate-1")["online"], "gate-1 is online")
    done = agent.run("run", "--state", agent.state)
    assert done.returncode == 5 and "another process has it locked" in done.stderr, done.stderr
    done = agent.run("status", "--state", agent.state)
    assert done.returncode == 0 and "gate-1, connected to" in done.stdout, done.stdout
    fleet.agents.pop("gate-1").stop()
    wait_for(lambda: not fleet.device("gate-1")["online"], "its goodbye was heard")


def test_local_api(fleet):
    agent = Agent(fleet, "cam-1")
    assert agent.call("GET", "/healthz") == (200, b"ok\n")
    assert (agent.state / "agent.sock").stat().st_mode & 0o077 == 0
    status = agent.status()
    assert status["device"] == "cam-1" and status["connected"] and status["state"] == "IDLE", status
    wrong = [("GET", "/v1/records", None, {}, 405), ("POST", "/v1/records", b"{}", {}, 400),
             ("POST", "/v1/records?kind=nothing", b"", {}, 400),
             ("POST", "/v1/records?kind=alert&class=royal", b"", {}, 400),
             ("POST", "/v1/records?kind=alert", b"", {"X-Ledge-Meta": "[1]"}, 400),
             ("POST", "/v1/records?kind=alert", b"", {"X-Ledge-Meta": '{"a":1,"a":2}'}, 400),
             ("POST", "/v1/records?kind=alert", b"not json", {"Content-Type": "application/json"}, 400),
             ("GET", "/v1/functions/nobody/log", None, {}, 404), ("GET", "/v1/functions/../../etc/log", None, {}, 404),
             ("GET", "/v1/functions/sleeper%2Flog", None, {}, 404), ("GET", "/v1/functions/..%2Fsleeper/log", None, {}, 404),
             ("GET", "/v1%2Fstatus", None, {}, 404), ("GET", "/", None, {}, 404)]
    for method, path, body, headers, expected in wrong:
        got = agent.call(method, path, body, headers)
        assert got[0] == expected and got[1]["detail"], (method, path, got)
    first = agent.call("POST", "/v1/records?kind=alert&class=critical", json.dumps({"key": "as-json"}).encode(),
                       {"Content-Type": "application/json"})
    second = agent.record({"key": "with-body"}, b"x" * 1000)
    assert first[0] == 200 and second[1] == {"epoch": first[1]["epoch"], "seq": first[1]["seq"] + 1}, (first, second)
    wait_for(lambda: stored(fleet, "as-json") and stored(fleet, "with-body"), "both are in the hub")
    row = fleet.database().execute("select kind, class, length(body) from records where json_extract(meta, '$.key') = "
                                   "'with-body'").fetchone()
    assert row == (1, 1, 1000), row
    wait_for(lambda: agent.status()["outbox"]["depth"] == 0, "the outbox is empty again")


def test_record_without_timer(fleet):
    """The flush that a record waits for cannot be put off: it is done at once."""
    fleet.add_device("cam-timer", start=False)
    agent = Agent(fleet, "cam-timer")
    agent.program.env = fleet.shim()
    agent.program.start()
    wait_for(lambda: agent.up() and agent.status()["connected"], "it is connected", 40)
    wait_for(lambda: agent.status()["outbox"]["depth"] == 0, "nothing is under way")
    for i in range(3):
        path = fleet.no_timer(2)  # the first is its connection's
        status, answer = agent.record({"key": f"no timer {i}"})
        assert status == 200 and answer["seq"] > 0 and not path.exists(), (status, answer)
        wait_for(lambda: stored(fleet, f"no timer {i}"), "it is in the hub")
        wait_for(lambda: agent.status()["outbox"]["depth"] == 0, "the outbox is empty again")
    agent.program.stop()


def test_large_records(fleet):
    """Over 128 KiB: by HTTPS; in order with the small ones around them."""
    agent = Agent(fleet, "cam-1")
    for i in range(3):
        assert agent.record({"key": f"small-{i}"})[0] == 200
        assert agent.record({"key": f"large-{i}"}, os.urandom(300_000 + i), kind="log")[0] == 200
    assert agent.record({"key": "last"}, os.urandom(2_000_000), kind="log")[0] == 200
    wait_for(lambda: all(stored(fleet, k) == 1 for k in ("large-0", "large-1", "large-2", "small-2", "last")), "all are stored")
    wait_for(lambda: agent.status()["outbox"]["depth"] == 0, "the outbox is empty again")
    status = agent.call("POST", "/v1/records?kind=log", b"x" * (17 << 20))[0]
    assert status == 413, status


def test_repeated_records(fleet):
    """Killed when a record is on disk and before it is answered: the producer repeats it, the hub keeps one."""
    agent = Agent(fleet, "cam-1")

    def killed_between_fsync_and_answer(*record):
        agent.program.stop()
        agent.program.env = {"LEDGE_FAILPOINT": "RECORD_SYNCED:kill"}
        agent.program.start()
        wait_for(agent.up, "the agent is up")
        try:
            raise AssertionError(agent.record(*record))
        except (OSError, http.client.HTTPException):
            wait_for(lambda: not agent.program.running(), "killed before the answer")
        agent.program.env = {}
        agent.program.start()
        wait_for(lambda: agent.up() and agent.status()["outbox"]["depth"] == 0, "all is sent")

    small, large = {"function": "f", "key": "repeat-small"}, {"function": "f", "key": "repeat-large"}
    for meta, body, kind in ((small, b"", "prediction"), (large, os.urandom(300_000), "log")):
        killed_between_fsync_and_answer(meta, body, kind)
        wait_for(lambda: stored(fleet, meta["key"]) == 1, "what was synced arrives unanswered")
        fleet.hub.kill()  # what it knows of keys is on its disk
        fleet.start_hub()
        assert agent.record({**meta, "ms": 2}, body, kind)[0] == 200, "the producer repeats it"
        assert agent.record({**meta, "function": "g"}, body, kind)[0] == 200, "another function's key is another key"
    # Both in one outbox, sent together: the first has not been acknowledged when the second is appended.
    fleet.hub.kill()
    agent.program.stop()
    agent.program.env = {"LEDGE_FAILPOINT": "RECORD_SYNCED:error"}
    agent.program.start()
    wait_for(agent.up, "the agent is up")
    offline = {"function": "f", "key": "repeat-offline"}
    assert agent.record(offline)[0] == 500
    agent.program.kill()
    agent.program.env = {}
    agent.program.start()
    wait_for(agent.up, "the agent is up")
    assert agent.record(offline)[0] == 200 and agent.record({"key": "repeat-last"})[0] == 200
    fleet.start_hub()
    wait_for(lambda: stored(fleet, "repeat-last") == 1 and agent.status()["outbox"]["depth"] == 0, "all is sent", 60)
    count = {key: stored(fleet, key) for key in ("repeat-small", "repeat-large", "repeat-offline")}
    assert count == {"repeat-small": 2, "repeat-large": 2, "repeat-offline": 1}, count  # 2: of f and of g
    assert agent.record({"key": 7})[0] == 400 and agent.record({"key": "k" * 201})[0] == 400


def test_full_outbox(fleet):
    """While the hub is away the quota is kept with a 507; afterwards everything that was promised arrives."""
    agent = Agent(fleet, "cam-1")
    agent.program.stop()
    agent.program.argv += ["--outbox-mb", "1"]
    fleet.hub.kill()
    agent.program.start()
    wait_for(lambda: (agent.state / "agent.sock").exists() and agent.call("GET", "/healthz")[0] == 200, "the agent is up")
    promised = []
    for i in range(2000):
        status, answer = agent.record({"key": f"full-{i}"}, b"y" * 2000)
        if status != 200:
            break
        promised.append(f"full-{i}")
    assert status == 507 and "quota" in answer["detail"], (status, answer)
    assert 300 < len(promised) < 600, len(promised)
    agent.program.kill()
    agent.program.start()
    fleet.start_hub()
    wait_for(lambda: all(stored(fleet, k) == 1 for k in (promised[0], promised[-1])), "promised records arrive", 60)
    wait_for(lambda: agent.status()["outbox"]["depth"] == 0, "the outbox is empty again", 60)
    assert all(stored(fleet, key) == 1 for key in promised)
    assert agent.record({"key": "after"}, b"y" * 2000)[0] == 200
    agent.program.stop()
    agent.program.argv = agent.program.argv[:-2]
    agent.program.start()
    wait_for(lambda: fleet.device("cam-1")["online"], "cam-1 is back")


class Asker(threading.Thread):
    """Asks the model without pause and counts what fails; answers are told apart by their offset."""

    def __init__(self, socket):
        super().__init__(daemon=True)
        self.socket, self.asked, self.failed, self.offsets, self.stop = socket, 0, [], [], False

    def run(self):
        body = json.dumps({"inputs": [{"name": "x", "shape": [1, 3, 3, 3], "datatype": "FP32", "data": [0] * 27}]})
        link = Local(self.socket, 30)
        while not self.stop:
            link.request("POST", "/v2/models/probe/infer", body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            data = answer.read()
            self.asked += 1
            if answer.status != 200:
                self.failed.append(data)
            else:
                offset = round(json.loads(data)["outputs"][0]["data"][0])
                if not self.offsets or self.offsets[-1] != offset:
                    self.offsets.append(offset)


def test_swap(fleet):
    """A model changes under a running function: nothing is restarted, no request fails."""
    agent = Agent(fleet, "cam-1")
    for version in (1, 2, 3):
        fleet.push_model("probe", write(fleet, "probe.onnx", conv_of(1.0, 10.0 * version)))
    fleet.push_function("sleeper", write(fleet, "sleeper.sh", SLEEPER))
    fleet.deploy(["cam-1"], models=[{"name": "probe", "version": 1}],
                 functions=[{"name": "sleeper", "version": 1, "config": {"a": 1}}], trial_s=0)
    pid = agent.function("sleeper")["pid"]
    asker = Asker(agent.state / "serve.sock")
    asker.start()
    wait_for(lambda: asker.offsets, "the first answer")
    for version in (2, 3, 1, 2, 3):
        fleet.deploy(["cam-1"], models=[{"name": "probe", "version": version}], trial_s=0)
        wait_for(lambda: asker.offsets[-1] == 10 * version, f"an answer of version {version}")
    asker.stop = True
    asker.join()
    assert not asker.failed and asker.offsets == [10, 20, 30, 10, 20, 30], (asker.failed[:3], asker.offsets)
    assert agent.function("sleeper")["pid"] == pid, "the function was restarted by a change of model"
    status = agent.status()
    assert status["models"][0]["state"] == "loaded" and status["swap_ms"] >= 0, status
    print(f"  {asker.asked} requests over 5 swaps, {len(asker.failed)} failed, last swap {status['swap_ms']:.3f} ms")
    fleet.deploy(["cam-1"], functions=[{"name": "sleeper", "version": 1, "config": {"a": 2}}], trial_s=0)
    assert agent.function("sleeper")["pid"] != pid, "a new configuration needs a restart"


def test_logs(fleet):
    agent = Agent(fleet, "cam-1")

    def log(limit):
        return agent.call("GET", f"/v1/functions/sleeper/log?limit={limit}")[1]["lines"]

    wanted = {'up sleeper on cam-1 {"a":1}', 'up sleeper on cam-1 {"a":2}'}
    wait_for(lambda: wanted <= {line["text"] for line in log(50)}, "both starts are in the log")
    assert all(abs(line["ts"] / 1000 - time.time()) < 600 for line in log(50))
    assert len(log(1)) == 1
    seen = fleet.api("GET", "/devices/cam-1/logs?function=sleeper&limit=50")["lines"]
    assert any("up sleeper" in line["text"] for line in seen), seen
    pid = agent.function("sleeper")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: agent.function("sleeper")["pid"] not in (0, pid), "it is restarted")
    assert agent.function("sleeper")["restarts"] == 1
    assert any("ended by signal 9" in line["text"] for line in log(200))


def blob_path(fleet, sha256):
    found = [p for p in fleet.hub_state.rglob("*" + sha256[-60:]) if p.is_file()]
    assert len(found) == 1, found
    return found[0]


def expect_failure(fleet, agent, deployment, state, words):
    """The deployment ends in `state` with one line; the old model still answers."""
    device = lambda: fleet.api("GET", f"/deployments/{deployment}")["devices"][0]  # noqa: E731
    wait_for(lambda: device()["state"] == state, f"{state}: {words}", 60)
    assert words in (device()["reason"] or ""), device()
    link = Local(agent.state / "serve.sock")
    link.request("GET", "/v2/models/probe/ready")
    assert link.getresponse().status == 200, "the old model serves on"
    link.close()


def test_bad_blobs(fleet):
    agent = Agent(fleet, "cam-1")
    running = agent.status()["running"]
    for damage, words in ((lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], "digest"),
                          (lambda data: data[:-50], "")):
        made = fleet.push_model("probe", write(fleet, "probe.onnx", conv_of(2.0, time.time() % 1000)))
        path = blob_path(fleet, made["sha256"])
        whole = path.read_bytes()
        os.chmod(path, 0o600)
        path.write_bytes(damage(whole))
        asked = fleet.deploy(["cam-1"], models=[{"name": "probe", "version": made["version"]}], trial_s=0, wait=0)
        if words:
            expect_failure(fleet, agent, asked, "FAILED", words)
        else:  # a short blob looks like a hub that is being restored: the agent waits for the rest
            wait_for(lambda: agent.said("again in"), "the agent tries again")
            assert agent.status()["running"] == running
            path.write_bytes(whole)
            wait_for(lambda: fleet.deployed(asked), "it goes on by itself", 60)
    # Right bytes that are no model: ledge-serve refuses them, and the generation before comes back.
    made = fleet.push_model("probe", write(fleet, "junk.onnx", b"this is no model at all"))
    asked = fleet.deploy(["cam-1"], models=[{"name": "probe", "version": made["version"]}], trial_s=0, wait=0)
    expect_failure(fleet, agent, asked, "ROLLED_BACK", "model probe")


def as_hub(fleet, agent_name):
    """An MQTT link with the hub's certificate: a broker or hub gone bad."""
    enrolled = json.loads((fleet.root / agent_name / "agent.json").read_text())

    def context():
        made = ssl.create_default_context(cafile=str(fleet.hub_state / "ca.crt"))
        made.load_cert_chain(fleet.hub_state / "hub.crt", fleet.hub_state / "hub.key")
        return made

    device = types.SimpleNamespace(name="tester", context=context, enrolled={"broker": {"port": enrolled["broker_port"]}})
    return Mqtt(device), enrolled


def test_refused_documents(fleet):
    """Whoever has the broker cannot make a device run anything: only the director's signature can."""
    agent = Agent(fleet, "cam-1")
    before = agent.status()
    mqtt, enrolled = as_hub(fleet, "cam-1")
    key = bytes.fromhex(enrolled["director_key"])
    keyid = hashlib.sha256(key).hexdigest()[:16]

    def send(payload, keyid=keyid, sig=bytes(64)):
        envelope = json.dumps({"payload": base64.b64encode(payload).decode(), "keyid": keyid,
                               "sig": base64.b64encode(sig).decode()}).encode()
        raw(envelope)

    def raw(data):
        mqtt.number += 1
        mqtt.packet(0x32, text("ledge/1/cam-1/d/desired") + struct.pack(">H", mqtt.number) + data)

    document = json.dumps({"v": 1, "device": "cam-1", "gen": 999, "models": [], "functions": []}).encode()
    for make, words in ((lambda: send(document), "the signature is wrong"),
                        (lambda: send(document, keyid="0" * 16), "signed by key 0000000000000000"),
                        (lambda: raw(b"\xff\xfe not json"), "envelope"),
                        (lambda: raw(b'{"payload":"e30=","keyid":"0011223344556677","sig":"AAAA"}'), "signature of 3 bytes")):
        make()
        wait_for(lambda: agent.said("desired document refused: " + words) or
                 any(words in line for line in agent.program.text().splitlines() if "refused" in line), words)
    wait_for(lambda: fleet.device("cam-1")["state"] == "REJECTED", "the hub hears of it")
    after = agent.status()
    assert after["running"] == before["running"] and after["functions"] == before["functions"]
    mqtt.close()


def test_killed_while_deploying(fleet):
    """kill -9 with the real hub at the states that talk to it; the device goes on alone."""
    agent = Agent(fleet, "cam-1")
    for point in ("RECEIVED", "BLOB_PART", "FETCHING", "SWITCHING", "TRIAL", "CONFIRMED"):
        made = fleet.push_model("probe", write(fleet, "probe.onnx", conv_of(3.0, time.time() % 1000)))
        agent.program.stop()
        agent.program.env = {"LEDGE_FAILPOINT": point + ":kill"}
        agent.program.start()
        asked = fleet.deploy(["cam-1"], models=[{"name": "probe", "version": made["version"]}], trial_s=0, wait=0)
        wait_for(lambda: not agent.program.running(), f"killed at {point}", 60)
        agent.program.env = {}
        agent.program.start()
        wait_for(lambda: fleet.deployed(asked), f"confirmed after a kill at {point}", 60)


def test_full_disk(fleet):
    """A limit on the size of files stands for the full disk."""
    agent = Agent(fleet, "cam-1")
    agent.program.stop()
    argv = agent.program.argv
    agent.program.argv = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *argv]
    agent.program.start()
    wait_for(lambda: fleet.device("cam-1")["online"], "cam-1 is back")
    made = fleet.push_model("probe", write(fleet, "big.onnx", os.urandom(600_000)))
    asked = fleet.deploy(["cam-1"], models=[{"name": "probe", "version": made["version"]}], trial_s=0, wait=0)
    wait_for(lambda: (agent.state / "serve.sock").exists(), "ledge-serve is up")
    expect_failure(fleet, agent, asked, "FAILED", "File too large")
    agent.program.stop()
    agent.program.argv = argv
    agent.program.start()
    wait_for(lambda: fleet.device("cam-1")["online"], "cam-1 is back")


def test_expired_certificate(fleet):
    agent = Agent(fleet, "cam-1")
    good = (agent.state / "device.crt").read_bytes()
    agent.program.stop()
    ca = fleet.hub_state
    openssl("x509", "-req", "-in", str(agent.state / "device.csr"), "-CA", str(ca / "ca.crt"), "-CAkey", str(ca / "ca.key"),
            "-set_serial", "77", "-days", "0", "-out", str(agent.state / "device.crt"))
    time.sleep(1.1)  # it is valid until the end of its second
    agent.program.start()
    wait_for(lambda: agent.said("certificate expired"), "one line says why")
    assert agent.status()["connected"] is False
    assert agent.record({"key": "while-expired"})[0] == 200, "local work goes on"
    wait_for(lambda: agent.status()["models"] and agent.status()["models"][0]["state"] == "loaded", "the model serves on")
    agent.program.stop()
    (agent.state / "device.crt").write_bytes(good)
    agent.program.start()
    wait_for(lambda: stored(fleet, "while-expired") == 1, "the record arrives later")


def test_footprint(fleet, sanitized):
    """The gate of the README: an idle agent takes less than 9 MB, counted as if it shared no page with anybody."""
    fleet.add_device("idle-1")
    fields = {}
    for line in pathlib.Path(f"/proc/{fleet.agents['idle-1'].pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        fields[name] = int(value.split()[0])
    started = [line for line in fleet.agents["idle-1"].text().splitlines() if "ms after the start" in line]
    print(f"  idle agent: RSS {fields['Rss']} KB, PSS {fields['Pss']} KB, private dirty {fields['Private_Dirty']} KB; "
          f"{started[0].split('connected to ')[1]}")
    assert sanitized or fields["Rss"] <= 9216, fields


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--only", help="part of a test's name")
    options = parser.parse_args()
    with Fleet(options.bin) as fleet:
        fleet.add_device("cam-1")
        for test in (test_enroll, test_local_api, test_record_without_timer, test_large_records, test_repeated_records, test_full_outbox, test_swap, test_logs,
                     test_bad_blobs, test_refused_documents, test_killed_while_deploying, test_full_disk, test_expired_certificate):
            if not options.only or options.only in test.__name__:
                started = time.monotonic()
                test(fleet)
                print(f"{test.__name__}: ok, {time.monotonic() - started:.1f} s", flush=True)
        test_footprint(fleet, options.sanitized)
        print("test_footprint: ok")


main()
