# SPDX-License-Identifier: Apache-2.0
"""A device in a few lines, for tests of the hub: key and request by openssl, segments (docs/records.md), MQTT 3.1.1 over
mutual TLS. Standard library only."""
import base64
import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import time

CRC_TABLE = []
for value in range(256):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    CRC_TABLE.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def record(seq, meta, body=b"", kind=1, time_ms=1_700_000_000_000):
    meta = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    rest = struct.pack("<QQHHI", seq, time_ms, kind, 1, len(meta)) + meta + body
    return struct.pack("<II", len(meta) + len(body), crc32c(rest)) + rest


def segment(epoch, records, first):
    """records: list of (meta, body, kind) or metas."""
    rows = [r if isinstance(r, tuple) else (r, b"", 1) for r in records]
    head = b"LSG1" + struct.pack("<HH", 1, 64) + epoch + struct.pack("<QIIQ", first, len(rows), 0, 1_700_000_000_000)
    head += bytes(12)
    return head + struct.pack("<I", crc32c(head)) + b"".join(
        record(first + i, meta, body, kind) for i, (meta, body, kind) in enumerate(rows))


def openssl(*args, given=None):
    done = subprocess.run(["openssl", *args], input=given, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Device:
    def __init__(self, fleet, name, folder):
        self.fleet, self.name, self.folder = fleet, name, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.epoch, self.next = os.urandom(16), 1
        self.key, self.certificate, self.ca = (self.folder / n for n in ("key.pem", "cert.pem", "ca.pem"))
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.key))
        self.csr = openssl("req", "-new", "-key", str(self.key), "-subj", "/CN=" + name).decode()
        self.enrolled = None

    def claim(self, token, device=None, csr=None):
        """(status, answer) of POST /enroll."""
        status, text, _ = self.fleet.raw("POST", "/api/v1/enroll", json.dumps(
            {"token": token, "device": device or self.name, "csr": csr or self.csr}).encode(), token=False)
        return status, json.loads(text)

    def enroll(self):
        token = self.fleet.api("POST", "/enroll-tokens", {"device": self.name})["token"]
        status, self.enrolled = self.claim(token)
        assert status == 200, self.enrolled
        self.certificate.write_text(self.enrolled["certificate"])
        self.ca.write_text(self.enrolled["ca"])
        return self

    def context(self):
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return context

    def call(self, method, path, body=None, headers=None):
        link = http.client.HTTPSConnection("127.0.0.1", self.fleet.port, timeout=120, context=self.context())
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            link.close()

    def make(self, records):
        made = segment(self.epoch, records, self.next)
        self.next += len(records)
        return made

    def mqtt(self):
        return Mqtt(self)

    def verify(self, envelope):
        """The document inside a signed envelope, its signature checked by openssl."""
        payload, sig = base64.b64decode(envelope["payload"]), base64.b64decode(envelope["sig"])
        der = bytes.fromhex("302a300506032b6570032100" + self.enrolled["director_key"])  # RFC 8410
        for name, data in (("director.der", der), ("sig", sig), ("signed", b"ledge-desired-v1\n" + payload)):
            (self.folder / name).write_bytes(data)
        openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", str(self.folder / "director.der"),
                "-sigfile", str(self.folder / "sig"), "-in", str(self.folder / "signed"))
        return json.loads(payload)


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


class Mqtt:
    """MQTT 3.1.1, QoS 1, one thread: what came is read whenever something is waited for."""

    def __init__(self, device):
        self.device, self.inbox, self.number, self.data = device, [], 0, b""
        raw = socket.create_connection(("127.0.0.1", device.enrolled["broker"]["port"]), timeout=120)
        self.link = device.context().wrap_socket(raw, server_hostname="127.0.0.1")
        will = text(f"ledge/1/{device.name}/u/hello") + text('{"v":1,"online":false}')
        self.packet(0x10, text("MQTT") + bytes([4, 2 | 4 | 8]) + struct.pack(">H", 60) + text(device.name) + will)
        first, body = self.read(time.monotonic() + 120)
        assert first == 0x20 and body[1] == 0, (first, body)

    def packet(self, first, body):
        n, length = len(body), b""
        while True:
            length += bytes([n % 128 | (0x80 if n >= 128 else 0)])
            n //= 128
            if n == 0:
                break
        self.link.settimeout(20)
        self.link.sendall(bytes([first]) + length + body)

    def split(self):
        """The first whole packet of what has come, or None."""
        n, shift, at = 0, 0, 1
        while at < len(self.data):
            byte = self.data[at]
            n |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                if len(self.data) < at + n:
                    return None
                packet = self.data[0], self.data[at:at + n]
                self.data = self.data[at + n:]
                return packet
        return None

    def read(self, deadline):
        while True:
            packet = self.split()
            if packet:
                return packet
            self.link.settimeout(max(0.01, deadline - time.monotonic()))
            piece = self.link.recv(65536)
            if not piece:
                raise ConnectionError("the broker closed the connection")
            self.data += piece

    def take(self, deadline):
        """Read one packet; a message is acknowledged and returned as (topic, payload)."""
        first, body = self.read(deadline)
        if first >> 4 != 3:
            return None
        n = struct.unpack(">H", body[:2])[0]
        at = 2 + n
        if first & 6:
            self.packet(0x40, body[at:at + 2])
            at += 2
        return body[2:2 + n].decode(), body[at:]

    def expect(self, channel, seconds=15):
        """The next message on d/<channel>; others are kept in `inbox`. TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            got = self.take(deadline)
            if got and got[0].endswith("/d/" + channel):
                return json.loads(got[1])
            if got:
                self.inbox.append(got)
            if time.monotonic() > deadline:
                raise TimeoutError(channel)

    def subscribe(self, pattern=None):
        self.packet(0x82, struct.pack(">H", 9999) + text(pattern or f"ledge/1/{self.device.name}/d/#") + b"\1")
        return self

    def publish(self, channel, payload, device=None):
        self.number += 1
        topic = f"ledge/1/{device or self.device.name}/u/{channel}"
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.packet(0x32, text(topic) + struct.pack(">H", self.number) + data)

    def hello(self, gen=0, seen=0, state="IDLE", acked=0):
        self.publish("hello", {"v": 1, "online": True, "boot": "ab" * 8, "gen": gen, "seen": seen, "state": state,
                               "epoch": self.device.epoch.hex(), "next": self.device.next, "acked": acked,
                               "agent": "0.1.0", "cpu": "avx2"})
        return self

    def close(self):
        self.link.close()
