# SPDX-License-Identifier: Apache-2.0
"""What the tests of the hub share. Standard library only."""
import json
import sqlite3
import struct
import sys
import time
import zlib

from device import Device
from fleet import Fleet, wait_for


def png(shade):
    """A picture of 4 x 4 grey points."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([shade % 256, shade // 256 % 256, i, i]) for i in range(4))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def enrolled(fleet, name):
    wait_for(lambda: b"\nledge_broker_connected 1\n" in fleet.raw("GET", "/metrics")[1], "the hub is at its broker")
    return Device(fleet, name, fleet.root / name).enroll()


def rows(fleet, sql, *args):
    with fleet.database() as database:
        return database.execute(sql, args).fetchall()


def write(fleet, sql, *args):
    with sqlite3.connect(next(fleet.hub_state.glob("*.db")), timeout=10) as database:
        database.execute(sql, args)


def refused(fleet, method, path, status, **more):
    got, body, headers = fleet.raw(method, path, **more)
    assert got == status, (method, path, got, body)
    problem = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json" and problem["status"] == status and problem["detail"]
    return problem["detail"]


def run(names):
    """Usage: TEST BIN [NAME ...]: every test_... of a test's globals, or those named; each has a hub of its own."""
    tests = {name: f for name, f in names.items() if name.startswith("test_")}
    for name in sys.argv[2:] or tests:
        started = time.monotonic()
        with Fleet(sys.argv[1]) as fleet:
            tests[name](fleet)
            assert fleet.hub.child is not None and "ERROR: AddressSanitizer" not in fleet.hub.text(), fleet.hub.text()
            assert "runtime error" not in fleet.hub.text(), fleet.hub.text()
        print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
