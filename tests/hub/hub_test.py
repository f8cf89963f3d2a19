#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real hub with a real mosquitto on free loopback ports, and devices made of openssl and a few lines of MQTT.

Usage: hub_test.py BIN [NAME ...]    every test_… below, or those named; each has a hub of its own
"""
import http.client
import io
import json
import os
import pathlib
import random
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import zlib

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "harness"))
sys.path.insert(0, str(here))
from device import Device, openssl, segment  # noqa: E402
from fleet import Fleet, Program, children, command, wait_for  # noqa: E402
from shared import enrolled, png, refused, rows, run, write  # noqa: E402


def alert(text):
    return ({"function": "f", "text": text, "severity": "info"}, b"", 3)


# -- who may do what --------------------------------------------------------------------------------------------------

def test_auth(fleet):
    refused(fleet, "GET", "/api/v1/devices", 401, token=False)
    refused(fleet, "GET", "/api/v1/devices", 401, headers={"Authorization": "Bearer la1.wrong"})
    refused(fleet, "POST", "/api/v1/segments", 403, body=b"x")  # the admin is no device
    refused(fleet, "GET", "/api/v1/nothing", 404)
    _, _, headers = fleet.raw("PUT", "/api/v1/devices")
    assert headers["Allow"] == "GET"
    refused(fleet, "PUT", "/api/v1/devices", 405)
    refused(fleet, "POST", "/api/v1/deployments", 400, body=b"{")
    refused(fleet, "GET", "/api/v1/devices?limit=0", 400)
    refused(fleet, "GET", "/api/v1/samples?cursor=x", 400)
    refused(fleet, "POST", "/api/v1/session", 401, body=b'{"token":"x"}', token=False)
    # a stranger's big body is refused before it is read
    refused(fleet, "POST", "/api/v1/blobs", 413, body=b"x" * 100000, token=False)
    # sign in: the cookie reads, and writes with the header only
    status, _, headers = fleet.raw("POST", "/api/v1/session", json.dumps({"token": fleet.token}).encode(), token=False)
    cookie = headers["Set-Cookie"]
    assert status == 204 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" in cookie
    send = {"Cookie": "a=b; " + cookie.split(";")[0]}
    assert fleet.raw("GET", "/api/v1/summary", headers=send, token=False)[0] == 200
    refused(fleet, "POST", "/api/v1/enroll-tokens", 403, body=b"{}", headers=send, token=False)
    send["X-Ledge-Csrf"] = "1"
    assert fleet.raw("POST", "/api/v1/enroll-tokens", b"{}", send, token=False)[0] == 200
    assert fleet.raw("DELETE", "/api/v1/session", None, send, token=False)[0] == 204
    refused(fleet, "GET", "/api/v1/summary", 401, headers=send, token=False)
    for text in fleet.hub.log, *fleet.hub_state.glob("hub.db*"):
        if text != fleet.hub.log:
            assert fleet.token.encode() not in text.read_bytes(), text  # only its digest is kept
    # ten wrong tokens and the address waits; the right token is let through
    for _ in range(12):
        status = fleet.raw("GET", "/api/v1/devices", headers={"Authorization": "Bearer x"})[0]
    assert status == 429
    refused(fleet, "POST", "/api/v1/session", 429, body=json.dumps({"token": fleet.token}).encode(), token=False)
    assert fleet.raw("GET", "/api/v1/devices")[0] == 200


def test_headers_and_console(fleet):
    for path in "/", "/healthz", "/api/v1/summary", "/nowhere":
        _, _, headers = fleet.raw("GET", path)
        for name in "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy":
            assert headers[name], (path, name)
    status, page, headers = fleet.raw("GET", "/", token=False)
    assert status == 200 and b"<html" in page and "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert fleet.raw("GET", "/", headers={"If-None-Match": headers["ETag"]})[0] == 304
    _, packed, headers = fleet.raw("GET", "/", headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip" and zlib.decompress(packed, 31) == page
    status, text, _ = fleet.raw("GET", "/metrics", token=False)  # loopback
    assert status == 200 and b"\nledge_devices 0\n" in text


def test_paths(fleet):
    """A path is split before it is decoded: what stands for '/' in a name never leads into another route."""
    device = enrolled(fleet, "cam-1")
    assert fleet.api("GET", "/devices/cam-1")["id"] == "cam-1"
    assert fleet.api("GET", "/%64evices/cam%2D1")["id"] == "cam-1"
    for method, path, status, words in (
            ("POST", "models/a%2Fversions", 405, "has GET"), ("POST", "models/a%2fversions", 405, "has GET"),
            ("POST", "devices/cam-1%2Frotate", 405, "has GET, DELETE"), ("GET", "devices%2Fcam-1", 404, "there is no /"),
            ("GET", "devices/cam-1%2Fcertificates", 404, "no device is named cam-1/certificates"),
            ("GET", "devices/x%2F..%2Fcam-1", 404, "no device is named x/../cam-1"),
            ("GET", "models/x%2F..%2Fy", 404, "is named x/../y"), ("GET", "blobs/..%2F..%2Fhub.db", 400, "64 hexadecimal"),
            ("GET", "samples/1%2Fpicture", 404, "there is no sample 1/picture"), ("GET", "devices/cam-1%252F", 404, "cam-1%2F"),
            ("GET", "devices//picture", 404, "there is no /"), ("GET", "devices/" + "a" * 300, 404, "there is no /"),
            ("POST", "datasets/a%2Fb/versions", 400, "a name is")):
        said = refused(fleet, method, "/api/v1/" + path, status, body=b"{}" if method == "POST" else None)
        assert words in said, (method, path, said)
    for bad in "%00", "cam-1%00", "cam%0a1", "cam%0D%0ASet-Cookie:a", "%1f", "%7F", "%", "%4", "%zz":
        status, body, _ = fleet.raw("GET", "/api/v1/devices/" + bad)
        assert status == 400 and b"target" in body, (bad, status, body)
    assert fleet.raw("DELETE", "/api/v1/devices/cam-1%2Fcertificates%2F00")[0] == 404
    assert device.call("GET", "/api/v1/certificates/self")[0] == 200 and fleet.api("GET", "/models")["items"] == []


def test_openapi(fleet):
    status, text, _ = fleet.raw("GET", "/openapi.json", token=False)
    document = json.loads(text)
    assert status == 200 and document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    named = set(part.split('"')[0] for part in text.decode().split("#/components/schemas/")[1:])
    assert named <= set(schemas), named - set(schemas)
    served = 0
    for path, methods in document["paths"].items():
        asked = {p["name"] for method in methods.values() for p in method["parameters"] if p["in"] == "path"}
        assert asked == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path
        if path.endswith("/events"):
            continue
        for method, operation in methods.items():
            filled = path
            for name in asked:
                filled = filled.replace("{" + name + "}", "7")
            status, body, _ = fleet.raw(method.upper(), filled, b"{}" if "requestBody" in operation else None)
            assert status != 405 and not (status == 404 and b"there is no /" in body), (method, path, status, body)
            served += 1
    assert served > 35, served


# -- enrolment --------------------------------------------------------------------------------------------------------

def test_enroll(fleet):
    device, other = (Device(fleet, name, fleet.root / name) for name in ("cam-1", "cam-2"))
    token = fleet.api("POST", "/enroll-tokens", {"device": "cam-1"})["token"]
    assert token.startswith("lt1.") and len(token) == 4 + 48 + 1 + 64
    assert device.claim("lt1." + "0" * 48 + "." + "0" * 64)[0] == 401
    assert device.claim("nonsense")[0] == 401
    assert other.claim(token)[0] == 401  # it is for cam-1
    assert device.claim(token, csr="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")[0] == 400
    status, answer = device.claim(token)
    assert status == 200 and answer["device"] == "cam-1" and answer["broker"]["host"] == "127.0.0.1", answer
    assert device.claim(token)[1]["certificate"] == answer["certificate"]  # the answer may have been lost
    assert device.claim(token, csr=other.csr)[0] == 401  # but it is nobody else's
    assert len(rows(fleet, "select * from certificates")) == 1
    late = fleet.api("POST", "/enroll-tokens", {"device": "cam-2"})["token"]
    write(fleet, "update enroll_tokens set expires = 1 where device = 'cam-2' and used is null")
    assert other.claim(late)[0] == 401
    refused(fleet, "POST", "/api/v1/enroll-tokens", 400, body=b'{"device":"ledge-hub"}')
    refused(fleet, "POST", "/api/v1/enroll-tokens", 400, body=b'{"device":"../x"}')
    secret = token.split(".")[1].encode()
    assert all(secret not in path.read_bytes() for path in fleet.hub_state.glob("hub.db*"))


def test_revoke(fleet):
    device, friend = enrolled(fleet, "cam-1"), enrolled(fleet, "cam-2")
    link = device.mqtt().subscribe().hello()
    wait_for(lambda: fleet.device("cam-1")["online"], "cam-1 is online")
    assert device.call("POST", "/api/v1/segments", device.make([{"label": "a"}]))[0] == 200
    assert fleet.raw("DELETE", "/api/v1/devices/cam-1")[0] == 204
    refused(fleet, "GET", "/api/v1/devices/cam-1", 404)
    assert device.call("POST", "/api/v1/segments", device.make([{"label": "b"}]))[0] == 401
    link.publish("data", device.make([{"label": "c"}]))
    # what came after it at the same broker is stored, so the revoked one had its chance
    other = friend.mqtt().subscribe()
    other.publish("data", friend.make([{"label": "d"}]))
    other.expect("ack")
    assert rows(fleet, "select count(*) from records where device = 'cam-1'") == [(1,)]
    refused(fleet, "POST", "/api/v1/enroll-tokens", 409, body=b'{"device":"cam-1"}')
    fleet.hub.kill()
    fleet.start_hub()
    assert "user cam-1\ntopic deny #" in (fleet.hub_state / "broker.acl").read_text()
    assert refuses(device)
    friend.mqtt().close()


def test_certificates(fleet):
    device, thief = enrolled(fleet, "cam-1"), enrolled(fleet, "cam-2")
    old = device.certificate.read_text(), device.key.read_text()

    def ask(who, method, path, body=None):
        status, text, _ = who.call(method, "/api/v1/certificates" + path, body and json.dumps(body).encode())
        return status, json.loads(text)

    def use(pair):
        device.certificate.write_text(pair[0])
        device.key.write_text(pair[1])

    def serial():
        return ask(device, "GET", "/self")[1]["serial"]

    def request(name):
        key = device.folder / f"{name}.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        return openssl("req", "-new", "-key", str(key), "-subj", "/CN=ledge-hub").decode(), key.read_text()

    first = serial()
    refused(fleet, "POST", "/api/v1/certificates", 403, body=json.dumps({"csr": "x"}).encode())  # the admin is no device
    refused(fleet, "GET", "/api/v1/certificates/self", 401, token=False)
    assert ask(device, "POST", "", {"csr": "nonsense"})[0] == 400 and ask(device, "POST", "", {})[0] == 400
    csr, key = request("second")
    status, made = ask(device, "POST", "", {"csr": csr})
    assert status == 201 and made["device"] == "cam-1", made  # whatever name the request has
    assert ask(device, "POST", "", {"csr": csr})[1] == made  # the answer may have been lost
    assert ask(thief, "POST", "", {"csr": csr})[1]["serial"] != made["serial"]
    # Not proven: the hub says the old one is in use, and both are let in.
    assert fleet.device("cam-1")["certificate"]["serial"] == first == serial()
    third, third_key = request("third")
    abandoned, made = made["serial"], ask(device, "POST", "", {"csr": third})[1]  # it has lost the key of the second
    assert dict(rows(fleet, "select serial, revoked is null from certificates where device = 'cam-1'")) == {
        first: 1, abandoned: 0, made["serial"]: 1}
    assert ask(device, "POST", "/confirm")[0] == 409  # an old certificate cannot end a newer one
    use((made["certificate"], third_key))
    assert serial() == made["serial"]
    dates = openssl("x509", "-in", str(device.certificate), "-noout", "-subject", "-startdate", "-ext", "extendedKeyUsage").decode()
    assert "CN = cam-1" in dates and "Server" not in dates, dates
    assert ask(device, "POST", "/confirm") == (200, {"serial": made["serial"], "revoked": 1})
    assert ask(device, "POST", "/confirm") == (200, {"serial": made["serial"], "revoked": 0})  # the answer may have been lost
    use(old)
    assert ask(device, "GET", "/self")[0] == 401
    wait_for(lambda: refuses(device), "the broker refuses the old one, too")
    use((made["certificate"], third_key))
    device.mqtt().close()
    thief.mqtt().close()
    # A hub whose clock went back issues nothing; one whose clock ran ahead issues nothing that is not valid yet.
    write(fleet, "update certificates set issued = issued + 86400000 where serial = ?", made["serial"])
    assert ask(device, "POST", "", {"csr": csr})[0] == 409
    write(fleet, "update certificates set issued = ? where device = 'cam-1'", 1_000_000_000_000)
    made = ask(device, "POST", "", {"csr": request("fourth")[0]})[1]
    (device.folder / "fourth.crt").write_text(made["certificate"])
    dates = openssl("x509", "-in", str(device.folder / "fourth.crt"), "-noout", "-startdate").decode()
    assert "Sep  9 00:46:40 2001" in dates, dates
    # A hundred in a day, then it has to wait; the hub's clock may step back a little between two of them.
    write(fleet, "update certificates set issued = ? where device = 'cam-1'", int(time.time() * 1000) + 60000)
    for i in range(100):
        write(fleet, "insert into certificates(serial, device, pem, issued, expires, revoked) values (?, 'cam-1', '', ?, 1, 1)",
              f"aa{i:02d}", int(time.time() * 1000))
    assert ask(device, "POST", "", {"csr": request("fifth")[0]})[0] == 429
    write(fleet, "delete from certificates where serial like 'aa%'")
    fifth, fifth_key = request("fifth")
    made = ask(device, "POST", "", {"csr": fifth})[1]
    use((made["certificate"], fifth_key))
    assert ask(device, "POST", "/confirm") == (200, {"serial": made["serial"], "revoked": 1})
    # Due: asked with every hello until it is done.
    write(fleet, "update certificates set issued = 0, expires = ? where serial = (select serial from certificates where "
                 "device = 'cam-2' and proven is not null)", int(time.time() * 1000) + 86400000)
    link = thief.mqtt().subscribe().hello()
    assert link.expect("rotate")["serial"] == fleet.device("cam-2")["certificate"]["serial"]
    link.hello()
    link.expect("rotate")
    refused(fleet, "POST", "/api/v1/devices/nobody/rotate", 404)
    refused(fleet, "GET", "/api/v1/devices/nobody/certificates", 404)
    refused(fleet, "DELETE", "/api/v1/devices/cam-2/certificates/00", 404)
    actions = [r[0] for r in rows(fleet, "select action from audit where subject = 'cam-1' order by id")]
    assert actions == ["token.create", "device.enroll", *["certificate.renew"] * 2, "certificate.rotate",
                       *["certificate.renew"] * 2, "certificate.rotate"], actions


def refuses(device):
    try:
        device.mqtt().close()
        return False
    except (ssl.SSLError, OSError, AssertionError):
        return True


# -- records ----------------------------------------------------------------------------------------------------------

def test_exactly_once(fleet):
    device = enrolled(fleet, "cam-1")
    link = device.mqtt().subscribe().hello()
    first = device.make([{"label": str(i), "score": 0.5, "key": f"k{i}"} for i in range(3)])
    for _ in range(3):
        link.publish("data", first)
        assert link.expect("ack") == {"v": 1, "epoch": device.epoch.hex(), "seq": 3}
    status, body, _ = device.call("POST", "/api/v1/segments", first)  # and by the other road
    assert status == 200 and json.loads(body) == {"epoch": device.epoch.hex(), "seq": 3}
    fourth, fifth = device.make([{"label": "x"}]), device.make([{"label": "y"}, {"label": "z"}])
    link.publish("data", fifth)  # a gap: stored, but not acknowledged
    assert link.expect("ack")["seq"] == 3
    link.publish("data", fourth)
    assert link.expect("ack")["seq"] == 6
    assert [r[0] for r in rows(fleet, "select seq from records order by seq")] == [1, 2, 3, 4, 5, 6]
    summary = fleet.api("GET", "/summary")
    assert summary["records"] == 6 and summary["duplicates"] == 9, summary
    items = fleet.items("/predictions?device=cam-1&limit=4")
    assert [i["label"] for i in items][-3:] == ["2", "1", "0"] and len(items) == 6
    assert fleet.device("cam-1")["records"] == 6
    # another life of the outbox is another stream
    device.epoch, device.next = os.urandom(16), 1
    link.publish("data", device.make([alert("hot")]))
    assert link.expect("ack")["seq"] == 1
    assert fleet.items("/alerts")[0]["text"] == "hot"
    # a store that is older than the device does not wait for what will never come
    device.epoch = os.urandom(16)
    device.next = 101
    link.hello(acked=100)
    link.publish("data", device.make([{"label": "late"}]))
    assert link.expect("ack")["seq"] == 101


def test_keys(fleet):
    """A producer's own id makes a repeated record one, under whatever seq it comes, by either road, across restarts."""
    device, other = enrolled(fleet, "cam-1"), enrolled(fleet, "cam-2")

    def post(who, *records):
        status, body, _ = who.call("POST", "/api/v1/segments", who.make(list(records)))
        return status == 200 and json.loads(body)["seq"]

    meta = {"function": "f", "key": "k", "label": "first"}
    assert post(device, meta, {**meta, "label": "second"}) == 2
    device.epoch, device.next = os.urandom(16), 1  # its outbox was lost, the producer's state was not
    fleet.hub.kill()
    fleet.start_hub()
    assert post(device, meta, (meta, b"", 3), {**meta, "function": "g"}, {"key": "k"}, {"key": "K"}) == 5
    assert post(device, {"key": ""}, {"key": ""}, {"key": 1}, {"key": 1}, {"key": "x" * 201}, {"key": "x" * 201}) == 11
    assert post(other, meta) == 1
    picture = ({"function": "f", "key": "p", "content_type": "image/png"}, png(1), 2)
    assert post(device, picture, picture) == 13 and len(fleet.items("/samples?state=unlabelled")) == 1
    found = rows(fleet, "select device, kind, key, count(*), min(json_extract(meta, '$.label')) from records "
                        "where key is not null group by 1, 2, 3 order by 1, 2, 3")
    assert found == [("cam-1", 1, "/K", 1, None), ("cam-1", 1, "/k", 1, None), ("cam-1", 1, "f/k", 1, "first"),
                     ("cam-1", 1, "g/k", 1, "first"), ("cam-1", 2, "f/p", 1, None), ("cam-1", 3, "f/k", 1, "first"),
                     ("cam-2", 1, "f/k", 1, "first")], found
    assert rows(fleet, "select count(*) from records where key is null") == [(6,)]
    assert fleet.api("GET", "/summary")["duplicates"] == 3
    # Behind a gap a repeat leaves a hole: the device sends from there again, and is told of the end.
    gap, behind = device.make([{"key": "gap"}]), device.make([{"key": "gap"}, {"label": "last"}])
    assert json.loads(device.call("POST", "/api/v1/segments", behind)[1])["seq"] == 13
    assert json.loads(device.call("POST", "/api/v1/segments", gap)[1])["seq"] in (14, 16)
    assert json.loads(device.call("POST", "/api/v1/segments", behind)[1])["seq"] == 16
    assert rows(fleet, "select count(*) from records where key = '/gap'") == [(1,)]


def test_hostile(fleet):
    device, victim = enrolled(fleet, "cam-1"), enrolled(fleet, "cam-2")
    link = device.mqtt().subscribe()
    good = device.make([{"label": "a"}, {"label": "b"}])
    random.seed(7)
    bad = [b"", b"LSG1", good[:-1], good + b"x", segment(device.epoch, [], 1), b"\xff" * 300,
           segment(device.epoch, [{"label": "q"}], 2**63)]
    for _ in range(60):
        at = random.randrange(len(good))
        bad.append(good[:at] + bytes([good[at] ^ (1 << random.randrange(8))]) + good[at + 1:])
    for data in bad:
        link.publish("data", data)
    for channel, data in (("hello", b"{}"), ("hello", b"\xff"), ("status", b'{"v":1,"gen":-1}'), ("status", b"[]"),
                          ("status", b'{"v":2,"gen":1,"state":"TRIAL"}'), ("log", b'{"v":1}'), ("what", b"{}"),
                          ("status", b'{"v":1,"gen":1,"state":"NO-STATE"}'), ("hello", b"[" * 5000)):
        link.publish(channel, data)
    # another's topics: not written, not read
    link.publish("data", victim.make([{"label": "forged"}]), device="cam-2")
    link.subscribe("ledge/1/cam-2/d/#").subscribe("ledge/1/#")
    own = victim.mqtt().subscribe()
    victim.next = 1
    own.publish("data", victim.make([{"label": "real"}]))
    assert own.expect("ack")["seq"] == 1
    link.publish("data", good)
    assert link.expect("ack")["seq"] == 2
    assert rows(fleet, "select device, json_extract(meta, '$.label') from records order by id") == \
        [("cam-2", "real"), ("cam-1", "a"), ("cam-1", "b")]
    assert all(topic.startswith("ledge/1/cam-1/d/") for topic, _ in link.inbox), link.inbox
    # meta that is not JSON may not block the device for ever
    link.publish("data", device.make([(b"not json", b"", 1)]))
    assert link.expect("ack")["seq"] == 3
    refused_count = [line for line in fleet.raw("GET", "/metrics")[1].decode().splitlines()
                     if line.startswith("ledge_segments_refused_total")][0]
    assert int(refused_count.split()[1]) >= len(bad) - 1, refused_count
    # no certificate of the fleet, no connection
    anonymous = ssl.create_default_context(cafile=str(device.ca))
    try:
        with anonymous.wrap_socket(socket.create_connection(("127.0.0.1", fleet.broker_port), 10),
                                   server_hostname="127.0.0.1") as raw:
            raw.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab")
            assert raw.recv(4) == b""
    except (ssl.SSLError, ConnectionError):
        pass


def test_kill_before_ack(fleet):
    device = enrolled(fleet, "cam-1")
    sent = []
    for turn in range(4):
        link = wait_for(lambda: connected(device), "the broker is up")  # it never reads an ack
        made = device.make([{"label": "x", "key": f"{turn}-{i}"} for i in range(20)])
        sent.append(made)

        def committed():
            link.publish("data", made)  # a broker without the hub behind it loses it: a device sends again
            return any(wait_a_moment(lambda: rows(fleet, "select count(*) from records")[0][0] >= 20 * (turn + 1)))
        wait_for(committed, "it is committed", 20, 0)
        fleet.hub.kill()  # SIGKILL
        fleet.start_hub()
    link = wait_for(lambda: connected(device), "the broker is back").subscribe()

    def acknowledged():
        for made in sent:
            link.publish("data", made)
        try:
            return any(link.expect("ack", 2)["seq"] == 80 for _ in sent)
        except TimeoutError:
            return False
    wait_for(acknowledged, "everything is acknowledged")
    assert rows(fleet, "select count(*), count(distinct json_extract(meta, '$.key')) from records") == [(80, 80)]
    # the first answer already names the last record; the other segments are still on their way
    wait_for(lambda: fleet.api("GET", "/summary")["duplicates"] >= 80, "what came again was counted")


def wait_a_moment(condition):
    """condition() again and again for 0.3 s, until it is true."""
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        value = condition()
        yield value


def connected(device):
    try:
        return device.mqtt()
    except OSError:
        return None


def test_broker_killed(fleet):
    device = enrolled(fleet, "cam-1")
    link = device.mqtt().subscribe().hello()
    wait_for(lambda: fleet.device("cam-1")["online"], "online")
    link.close()  # without DISCONNECT: the will speaks
    wait_for(lambda: not fleet.device("cam-1")["online"], "offline by its last will")
    for _ in range(3):
        broker = wait_for(lambda: next((c for c in children(fleet.hub.pid) if "mosquitto" in command(c)), None), "a broker")
        os.kill(broker, signal.SIGKILL)
        wait_for(lambda: not pathlib.Path(f"/proc/{broker}").exists(), "it is gone")
    link = wait_for(lambda: connected(device), "the broker is back").subscribe()

    def acknowledged():
        link.publish("data", segment(device.epoch, [{"label": "x"}], 1))
        try:
            return link.expect("ack", 1)["seq"] == 1
        except TimeoutError:
            return False
    wait_for(acknowledged, "the hub listens again")


def test_disk_full(fleet):
    device = enrolled(fleet, "cam-1")
    fleet.hub.stop()
    # a write beyond the limit fails instead of killing, as on a full disk
    fleet.hub.child = subprocess.Popen(fleet.hub.argv, stdout=open(fleet.hub.log, "ab"), stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, start_new_session=True, restore_signals=False)
    wait_for(fleet.healthy, "the hub is up")
    size = max(path.stat().st_size for path in fleet.hub_state.glob("hub.db*")) + 4096
    resource.prlimit(fleet.hub.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    made = device.make([({"label": "x"}, os.urandom(size + 500_000), 5)])
    for _ in range(3):
        status, body, _ = device.call("POST", "/api/v1/segments", made)
        assert status in (500, 507), (status, body)
    assert fleet.hub.running() and fleet.healthy()
    assert fleet.hub.text().count("records cannot be stored and are not acknowledged") == 1
    status = fleet.raw("POST", "/api/v1/models/m/versions", os.urandom(size + 100000),
                       {"Content-Type": "application/octet-stream"})[0]
    assert status in (500, 507)
    resource.prlimit(fleet.hub.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert device.call("POST", "/api/v1/segments", made)[0] == 200
    assert rows(fleet, "select count(*) from records") == [(1,)]


# -- models, deployments ----------------------------------------------------------------------------------------------

def push(fleet, kind, name, data, **meta):
    return fleet.raw("POST", f"/api/v1/{kind}/{name}/versions", data,
                     {"Content-Type": "application/octet-stream", "X-Ledge-Meta": json.dumps(meta)})


def test_registry_and_blobs(fleet):
    device, other = enrolled(fleet, "cam-1"), enrolled(fleet, "cam-2")
    data = random.Random(1).randbytes(700_000)
    probe = json.loads(fleet.raw("POST", "/api/v1/blobs", b'{"inputs":[]}')[1])["sha256"]
    status, body, _ = push(fleet, "models", "signs", data, file="signs.onnx", metrics={"top1": 0.9}, gate={"passed": True},
                           note="first", probe=probe)
    made = json.loads(body)
    assert status == 201 and made["version"] == 1
    assert push(fleet, "models", "signs", data, file="signs.onnx")[0] == 200  # the same bytes
    assert json.loads(push(fleet, "models", "signs", data + b"x", file="signs.onnx")[1])["version"] == 2
    refused(fleet, "POST", "/api/v1/models/..%2Fx/versions", 400, body=b"x")
    refused(fleet, "POST", "/api/v1/models/.x/versions", 400, body=b"x")
    refused(fleet, "POST", "/api/v1/models/x/versions", 400, body=b"x", headers={"X-Ledge-Meta": '{"file":"a/b"}'})
    refused(fleet, "POST", "/api/v1/models/x/versions", 400, body=b"x", headers={"X-Ledge-Meta": '{"probe":"%s"}' % ("0" * 64)})
    versions = fleet.api("GET", "/models/signs")["versions"]
    assert [v["version"] for v in versions] == [1, 2] and versions[0]["metrics"] == {"top1": 0.9}
    assert versions[0]["gate"] == {"passed": True} and versions[0]["format"] == "onnx" and versions[0]["deployed"] == 0
    path = "/api/v1/blobs/" + made["sha256"]
    status, got, headers = fleet.raw("GET", path)
    assert status == 200 and got == data and headers["ETag"] == f'"{made["sha256"]}"'
    assert fleet.raw("GET", path, headers={"If-None-Match": headers["ETag"]})[0] == 304
    assert device.call("GET", path)[0] == 404  # nobody gave it to this device
    fleet.api("POST", "/deployments", {"devices": ["cam-1"], "models": [{"name": "signs", "version": 1}]})
    status, tail, headers = device.call("GET", path, headers={"Range": "bytes=650000-"})
    assert status == 206 and tail == data[650000:] and headers["Content-Range"] == "bytes 650000-699999/700000"
    assert device.call("GET", path, headers={"Range": "bytes=700000-"})[0] == 416
    assert device.call("GET", "/api/v1/blobs/" + probe)[0] == 200
    assert other.call("GET", path)[0] == 404


def test_deployments(fleet):
    device = enrolled(fleet, "cam-1")
    enrolled(fleet, "cam-2")
    for n in 1, 2:
        assert push(fleet, "models", "signs", b"model %d" % n, file="signs.onnx")[0] == 201
    assert push(fleet, "functions", "watch", b"#!/bin/sh\n", file="watch.sh")[0] == 201
    link = device.mqtt().subscribe().hello()
    wait_for(lambda: fleet.device("cam-1")["online"], "online")
    body = {"devices": "all", "models": [{"name": "signs", "version": 1}],
            "functions": [{"name": "watch", "version": 1, "args": ["--fps", "5"], "config": {"threshold": 0.8}}],
            "policy": {"trial_s": 1}}
    first = fleet.api("POST", "/deployments", body, 201)["id"]
    document = device.verify(link.expect("desired"))
    assert document["gen"] == 1 and document["device"] == "cam-1" and document["policy"]["trial_s"] == 1
    assert document["models"][0]["sha256"] == fleet.api("GET", "/models/signs")["versions"][0]["sha256"]
    assert document["functions"][0]["args"] == ["--fps", "5"] and document["functions"][0]["mode"] == "pinned"
    link.hello(gen=0, seen=0)  # it was lost: said again
    assert device.verify(link.expect("desired"))["gen"] == 1
    running = [{"name": "signs", "version": 1, "sha256": "0" * 64, "state": "READY"}]
    link.publish("status", {"v": 1, "gen": 1, "state": "CONFIRMED", "reason": "", "models": running, "functions": []})
    item = wait_for(lambda: (i := fleet.api("GET", f"/deployments/{first}"))["done"] == 1 and i, "confirmed")
    assert item["total"] == 2 and {d["id"]: d["state"] for d in item["devices"]} == {"cam-1": "CONFIRMED", "cam-2": "PENDING"}
    assert fleet.api("GET", "/models/signs")["versions"][0]["deployed"] == 1
    # what is not named stays; a failed one is not built upon
    fleet.api("POST", "/deployments", {"devices": ["cam-1"], "models": [{"name": "signs", "version": 2}]})
    document = device.verify(link.expect("desired"))
    assert document["gen"] == 2 and document["models"][0]["version"] == 2 and document["functions"][0]["name"] == "watch"
    link.publish("status", {"v": 1, "gen": 2, "state": "ROLLED_BACK", "reason": "probe"})
    second = wait_for(lambda: (d := fleet.api("GET", "/deployments")["items"][0])["devices"][0]["state"] == "ROLLED_BACK" and d,
                      "rolled back")
    assert second["devices"][0]["reason"] == "probe" and second["done"] == 0
    assert push(fleet, "models", "other", b"other", file="other.onnx")[0] == 201
    third = fleet.api("POST", "/deployments", {"devices": ["cam-1"], "models": [{"name": "other"}]})["id"]
    document = device.verify(link.expect("desired"))
    assert document["gen"] == 3 and {m["name"]: m["version"] for m in document["models"]} == {"signs": 1, "other": 1}
    link.hello(gen=3, seen=3, state="CONFIRMED")  # its status was lost
    wait_for(lambda: fleet.api("GET", f"/deployments/{third}")["done"] == 1, "told by hello")
    undone = fleet.api("POST", f"/deployments/{third}/undo", None, 201)["id"]
    document = device.verify(link.expect("desired"))
    assert document["gen"] == 4 and [m["name"] for m in document["models"]] == ["signs"]
    assert fleet.api("GET", f"/deployments/{undone}")["undo_of"] == third
    assert fleet.device("cam-1")["desired_gen"] == 4
    refused(fleet, "POST", "/api/v1/deployments/999/undo", 404)
    for wrong, status in (({"devices": []}, 400), ({"devices": ["cam-9"], "models": [{"name": "signs"}]}, 404),
                          ({"devices": "all"}, 400), ({"devices": "all", "models": [{"name": "none"}]}, 404),
                          ({"devices": ["cam-1", "cam-1"], "models": [{"name": "signs"}]}, 400),
                          ({"devices": "all", "functions": [{"name": "watch", "args": "x"}]}, 400),
                          ({"devices": "all", "models": [{"name": "signs"}], "policy": {"trial_s": -1}}, 400)):
        refused(fleet, "POST", "/api/v1/deployments", status, body=json.dumps(wrong).encode())
    assert fleet.device("cam-1")["desired_gen"] == 4  # a refused order leaves nothing behind
    pages = fleet.items("/deployments?limit=2")
    assert [int(p["id"]) for p in pages] == sorted((int(p["id"]) for p in pages), reverse=True) and len(pages) == 4


def test_logs(fleet):
    device = enrolled(fleet, "cam-1")
    link = device.mqtt().subscribe().hello()
    wait_for(lambda: fleet.device("cam-1")["online"], "online")
    got = []
    asking = threading.Thread(target=lambda: got.append(fleet.api("GET", "/devices/cam-1/logs?function=watch&limit=5")))
    asking.start()
    assert link.expect("log-request") == {"v": 1, "function": "watch", "limit": 5}
    link.publish("log", {"v": 1, "function": "other", "lines": []})
    link.publish("log", {"v": 1, "function": "watch", "lines": [{"ts": 1, "text": "hi"}]})
    asking.join()
    assert got == [{"lines": [{"ts": 1, "text": "hi"}]}]
    refused(fleet, "GET", "/api/v1/devices/cam-1/logs", 400)
    refused(fleet, "GET", "/api/v1/devices/cam-9/logs?function=x", 404)
    refused(fleet, "GET", "/api/v1/devices/cam-1/logs?function=x", 504)


# -- samples ----------------------------------------------------------------------------------------------------------

def test_samples(fleet):
    device = enrolled(fleet, "cam-1")
    pictures = [png(i) for i in range(5)]
    metas = [{"label": str(i), "score": s, "model": "signs", "version": 1, "top": [[str(i), s]]}
             for i, s in enumerate((0.9, 0.2, 0.5, 0.4, 0.6))]
    made = device.make([(m, p, 2) for m, p in zip(metas, pictures)])
    assert device.call("POST", "/api/v1/segments", made)[0] == 200
    assert device.call("POST", "/api/v1/segments", device.make([(metas[0], pictures[0], 2)]))[0] == 200  # the same picture
    queue_ = fleet.items("/samples?state=unlabelled&limit=2")
    assert [s["score"] for s in queue_] == [0.2, 0.4, 0.5, 0.6, 0.9]  # least confident first
    one = queue_[0]
    assert one["device"] == "cam-1" and one["model"] == "signs" and one["version"] == "1" and one["meta"]["top"] == [["1", 0.2]]
    status, got, headers = fleet.raw("GET", f"/api/v1/samples/{one['id']}/picture")
    assert status == 200 and got == pictures[1] and headers["Content-Type"] == "image/png"
    assert fleet.raw("GET", "/api/v1/devices/cam-1/picture")[1] == pictures[0]
    refused(fleet, "POST", "/api/v1/datasets/signs/versions", 409, body=b'{"from":"labels"}')
    path = f"/api/v1/samples/{one['id']}/label"
    for bad in "", ".", "a/b", "x" * 65, "a\\b":
        refused(fleet, "POST", path, 400, body=json.dumps({"label": bad}).encode())
    for label in "7", "3":
        assert fleet.raw("POST", path, json.dumps({"label": label, "by": "ann"}).encode())[0] == 204
    assert fleet.api("GET", f"/samples/{one['id']}")["assigned"] == "3"
    assert len(fleet.items("/samples?state=unlabelled")) == 4 and len(fleet.items("/samples?state=labelled")) == 1
    assert fleet.raw("DELETE", path)[0] == 204
    assert fleet.api("GET", f"/samples/{one['id']}")["state"] == "unlabelled"
    assert [r[0] for r in rows(fleet, "select label from labels order by id")] == ["7", "3", None]  # history is kept
    refused(fleet, "POST", "/api/v1/samples/99/label", 404, body=b'{"label":"1"}')
    for sample in queue_:
        fleet.api("POST", f"/samples/{sample['id']}/label", {"label": "class " + str(int(sample["id"]) % 2)})
    answer = fleet.raw("POST", "/api/v1/samples", png(99), {"X-Label": "class 1"})
    assert answer[0] == 201
    again = fleet.raw("POST", "/api/v1/samples", png(99))
    assert again[0] == 200 and json.loads(again[1])["duplicate"] is True
    refused(fleet, "POST", "/api/v1/samples", 400, body=b"<html>")
    frozen = fleet.api("POST", "/datasets/signs/versions", {"from": "labels"}, 201)
    assert frozen["version"] == 1 and frozen["samples"] == 6
    assert fleet.raw("POST", "/api/v1/datasets/signs/versions", b'{"from":"labels"}')[0] == 200  # nothing has changed
    status, archive, _ = fleet.raw("GET", "/api/v1/datasets/signs/versions/1/archive")
    names = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            label, name = member.name.split("/")
            names.setdefault(label, []).append(name)
            assert tar.extractfile(member).read() in pictures + [png(99)] and name.endswith(".png") and member.isfile()
    assert sum(map(len, names.values())) == 6 and set(names) == {"class 0", "class 1"}
    assert fleet.api("GET", "/datasets")["items"][0]["versions"][0]["classes"] == {k: len(v) for k, v in names.items()}
    refused(fleet, "GET", "/api/v1/datasets/signs/versions/2/archive", 404)


# -- events -----------------------------------------------------------------------------------------------------------

class Events:
    def __init__(self, fleet, after=None):
        context = ssl.create_default_context(cafile=str(fleet.hub_state / "ca.crt"))
        self.link = http.client.HTTPSConnection("127.0.0.1", fleet.port, timeout=120, context=context)
        headers = {"Authorization": "Bearer " + fleet.token, **({"Last-Event-ID": after} if after else {})}
        self.link.request("GET", "/api/v1/events", headers=headers)
        self.answer = self.link.getresponse()
        assert self.answer.status == 200 and self.answer.headers["Content-Type"] == "text/event-stream"

    def next(self, topic=None):
        fields = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line == "" and "data" in fields:
                if topic in (None, fields["event"]):
                    return fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}
            elif ":" in line and not line.startswith(":"):
                name, value = line.split(":", 1)
                fields[name] = value.strip()

    def close(self):
        self.answer.close()
        self.link.close()


def test_events(fleet):
    device = enrolled(fleet, "cam-1")
    events = Events(fleet)
    link = device.mqtt().subscribe().hello()
    mark, _, item = events.next("device")
    assert item["id"] == "cam-1" and item["online"] is True
    link.publish("data", device.make([{"label": "3", "score": 0.4}, ({"label": "3", "score": 0.4}, png(1), 2)]))
    _, _, prediction = events.next("prediction")
    assert prediction["device"] == "cam-1" and prediction["label"] == "3" and prediction["score"] == 0.4
    assert events.next("sample")[2]["state"] == "unlabelled"
    assert events.next("picture")[2]["device"] == "cam-1"
    events.close()
    push(fleet, "models", "signs", b"model", file="signs.onnx")  # while nobody listened
    again = Events(fleet, mark)
    assert again.next()[1] == "prediction" and again.next("model")[2]["name"] == "signs"
    again.close()
    last = Events(fleet, str(int(mark) + 3))
    assert int(last.next()[0]) == int(mark) + 4
    last.close()
    # ten listeners that never read and leave: the hub goes on
    idle = [Events(fleet) for _ in range(10)]
    for one in idle:
        one.link.sock.close()
    assert fleet.healthy()


# -- starting ---------------------------------------------------------------------------------------------------------

def test_start(fleet):
    def run(*args):
        return subprocess.run([str(fleet.bin / "ledge-hub"), *args], capture_output=True, text=True, timeout=60)

    def names(n):
        return [part for i in range(n) for part in ("--host", f"n{i}")]
    state = str(fleet.hub_state)
    done = run("--state", state, "--listen", "127.0.0.1:0")
    assert done.returncode == 5 and "another ledge-hub runs" in done.stderr, done.stderr
    done = run("--state", str(fleet.root / "x"), "--listen", f"127.0.0.1:{fleet.url.rsplit(':', 1)[1]}", "--broker-port", "0")
    assert done.returncode == 5 and "cannot listen: Address already in use" in done.stderr, done.stderr
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = Program("other", [fleet.bin / "ledge-hub", "--state", fleet.root / "other", "--listen", "127.0.0.1:0", "--broker-port", port],
                        fleet.root / "other.log").start()
        wait_for(lambda: f"another program has port {port}; --broker-port" in other.text(), "what to do about a broker's port that is taken")
        other.stop()
    assert run("--listen", "0.0.0.0:0", "--plain", "--state", str(fleet.root / "x")).returncode == 2
    assert run("--help").returncode == 0
    days, port = "--certificate-days: '%s' is not a whole number from 1 to 3650", "--broker-port: '%s' is not a whole number from 0 to 65535"
    for words, *args in [("unrecognized option '--nonsense'", "--nonsense"), ("option '--state' requires an argument", "--state"),
                         *((days % value, "--certificate-days", value) for value in ("0", "3651", "5x", "")),
                         *((port % value, "--broker-port", value) for value in ("-1", "65536", " 1", "99999999999999999999")),
                         ("unexpected argument 'stray'", "--plain", "stray", "more"), ("--host n16: at most 16 names", *names(17))]:
        done = run("--state", str(fleet.root / "x"), *args)
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, (args, done)
    for words, *args in [("--listen 127.0.0.1:80x", "--listen", "127.0.0.1:80x"), ("--listen :80: ", "--listen", ":80")]:
        done = run("--state", str(fleet.root / "x"), *args)
        assert done.returncode == 2 and words in done.stderr, (args, done)
    done = run("--state", str(fleet.root / "x"), "--listen", "127.0.0.1:0", "--broker", "mqtts://broker:88x", *names(16))
    assert done.returncode == 2 and "--broker mqtts://broker:88x" in done.stderr, done
    old, ca = fleet.token, (fleet.hub_state / "ca.crt").read_bytes()
    fleet.hub.stop()
    assert fleet.hub.child.returncode == 0
    fleet.hub.argv.append("--new-token")
    fleet.start_hub()
    fleet.token = wait_for(lambda: (t := fleet._read_token_last()) != old and t, "a new token")
    assert (fleet.hub_state / "ca.crt").read_bytes() == ca
    assert fleet.raw("GET", "/api/v1/summary")[0] == 200
    assert fleet.raw("GET", "/api/v1/summary", headers={"Authorization": f"Bearer {old}"})[0] == 401
    fleet.hub.stop()
    fleet.hub.argv.pop()
    write(fleet, "insert into schema_version(version, applied) values (99, 0)")
    done = run("--state", state, "--listen", "127.0.0.1:0", "--broker-port", "0")
    assert done.returncode == 1 and "schema 99" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_older_store(fleet):
    """A store of schema 1, in which a repeated record stands twice, is brought up to date; nothing in it is lost."""
    fleet.hub.stop()
    path = next(fleet.hub_state.glob("*.db"))
    for old in fleet.hub_state.glob("hub.db*"):
        old.unlink()
    script = (here.parents[1] / "src/hub/sql/schema_1.sql").read_text()
    with sqlite3.connect(path) as database:
        database.executescript(script)
        database.execute("insert into schema_version values (1, 0)")
        database.execute("insert into devices(id, created) values ('cam-1', 0)")
        for seq, meta in enumerate(({"key": "a", "function": "f"}, {"key": "a", "function": "f"}, {"key": 5}, {}), 1):
            database.execute("insert into records(device, epoch, seq, ts, kind, class, meta) values ('cam-1', 'e', ?, 0, 1, 1, ?)",
                             (seq, json.dumps(meta)))
    database.close()
    fleet.token = None
    fleet.hub.log.write_text("")
    fleet.start_hub()
    assert rows(fleet, "select seq, key from records order by seq") == [(1, "f/a"), (2, None), (3, None), (4, None)]
    assert rows(fleet, "select max(version), count(*) from schema_version")[0][1] > 1
    device = enrolled(fleet, "cam-1")
    made = device.make([{"key": "a", "function": "f"}, {"key": "b", "function": "f"}])
    assert device.call("POST", "/api/v1/segments", made)[0] == 200
    assert rows(fleet, "select count(*) from records") == [(5,)]


def last_token(fleet):
    return [line.split()[2] for line in fleet.hub.text().splitlines() if line.startswith("admin token: ")][-1]


Fleet._read_token_last = last_token


run(globals())
