# SPDX-License-Identifier: Apache-2.0
"""What a test asks of one ledge-agent: by its command line, and by its local API on a unix socket. Standard library only."""
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess


class Local(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=120):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Agent:
    def __init__(self, fleet, name, state=None):
        self.fleet, self.name, self.state = fleet, name, pathlib.Path(state or fleet.root / name)
        self.program = fleet.agents.get(name)

    def run(self, *args, env=None):
        return subprocess.run([str(self.fleet.bin / "ledge-agent"), *map(str, args)], capture_output=True, text=True,
                              timeout=120, env={**os.environ, **(env or {})})

    def call(self, method, path, body=None, headers=None):
        """(status, what JSON says or else the bytes)"""
        with contextlib.closing(Local(self.state / "agent.sock")) as link:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data

    def up(self):
        with contextlib.suppress(OSError):
            return self.call("GET", "/healthz")[0] == 200
        return False

    def status(self):
        return self.call("GET", "/v1/status")[1]

    def record(self, meta, body=b"", kind="prediction"):
        return self.call("POST", f"/v1/records?kind={kind}", body, {"X-Ledge-Meta": json.dumps(meta)})

    def function(self, name):
        return next((f for f in self.status()["functions"] if f["name"] == name), None)

    def said(self, words):
        return words in self.program.text()
