# SPDX-License-Identifier: Apache-2.0
"""A ledge-serve on a unix socket and a TCP port, for tests. Standard library only."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
from agent import Local  # noqa: E402
from fleet import wait_for  # noqa: E402


class Server:
    def __init__(self, program, *options, root=None):
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="ledge-serve-"))
        self.socket = self.root / "serve.sock"
        self.log = self.root / "serve.log"
        self.argv = [str(program), "--socket", str(self.socket), "--listen", "127.0.0.1:0", *map(str, options)]
        self.child, self.port = None, None

    def __enter__(self):
        self.start()
        return self

    def start(self):
        before = self.text()
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.argv, stdout=out, stderr=out)
        line = wait_for(lambda: self._listening(before), "the server listens")
        self.port = int(line.rsplit(":", 1)[1].split()[0])

    def _listening(self, before):
        if self.child.poll() is not None:
            raise AssertionError("the server ended: " + self.text())
        return next((line for line in self.text()[len(before):].splitlines() if "listening on 127.0.0.1:" in line), None)

    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def stop(self):
        """SIGTERM; the exit status."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.child.wait(60)

    def __exit__(self, kind, value, trace):
        status = self.stop()
        if kind is not None or status != 0:
            print(self.text()[-6000:])
        assert kind is not None or status == 0, f"the server ended with {status}"

    def link(self):
        return Local(self.socket)

    def call(self, method, path, body=None, headers=None, link=None):
        """(status, headers, body) over the unix socket."""
        own = link is None
        link = link or self.link()
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            if own:
                link.close()

    def get(self, path):
        status, _, body = self.call("GET", path)
        return status, json.loads(body) if body else None

    def post(self, path, value, headers=None):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        status, _, answer = self.call("POST", path, body, headers)
        return status, json.loads(answer) if answer else None

    def load(self, name, path, version="1", **more):
        return self.post(f"/v2/repository/models/{name}/load",
                         {"parameters": {"path": str(path), "version": str(version), **more}})

    def metrics(self):
        """{'name{labels}': value}"""
        status, _, body = self.call("GET", "/metrics")
        assert status == 200
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith("#"))}

    def resident_kb(self):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")


def clean(server):
    for name in os.listdir(server.root):
        with contextlib.suppress(OSError):
            os.remove(server.root / name)
    with contextlib.suppress(OSError):
        os.rmdir(server.root)
