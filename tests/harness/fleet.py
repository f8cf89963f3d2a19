# SPDX-License-Identifier: Apache-2.0
"""A real fleet on loopback for tests: one hub (with its own mosquitto), any number of agents. Standard library only.

    with Fleet(bin_dir) as fleet:
        fleet.add_device("cam-1")
        fleet.api("GET", "/devices")

Every wait has a deadline; on failure the logs of all processes are printed. What a fleet repairs by itself it repairs within a
minute (hello), so wait_for() ends before: a test that waited longer would not see what was lost. One answer and one end of a
process may take as long as a slow machine needs.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time


ANSWER_S = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=30.0, step=0.05):
    """The first true value of condition(); AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)


class Program:
    """A child process with its output in a file; start() again after kill()."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log, self.env, self.child = name, [str(a) for a in argv], pathlib.Path(log), env, None

    def start(self):
        out = open(self.log, "ab")
        self.child = subprocess.Popen(self.argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                      env={**os.environ, **(self.env or {})}, start_new_session=True)
        out.close()
        return self

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.running():
            self.child.send_signal(sig)
            self.child.wait(ANSWER_S)

    def stop(self):
        if self.running():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(ANSWER_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise AssertionError(f"{self.name} does not end by SIGTERM") from None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Fleet:
    def __init__(self, bin_dir, root=None, serve=True):
        self.bin = pathlib.Path(bin_dir)
        self.own_root = root is None
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="ledge-fleet-"))
        self.port, self.broker_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.hub_state = self.root / "hub"
        self.hub = Program("hub", [self.bin / "ledge-hub", "--state", self.hub_state, "--listen", f"127.0.0.1:{self.port}",
                                   "--broker-port", self.broker_port], self.root / "hub.log")
        self.agents, self.token = {}, None

    # -- life ---------------------------------------------------------------------------------------------------------
    def __enter__(self):
        try:
            self.start_hub()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def start_hub(self):
        self.hub.start()
        if self.token is None:
            self.token = wait_for(self._read_token, "the hub prints its admin token")
        wait_for(self.healthy, "the hub answers /healthz")

    def _read_token(self):
        if not self.hub.running():
            raise AssertionError("the hub ended: " + self.hub.text()[-2000:])
        found = re.search(r"admin token:?\s+(\S+)", self.hub.text(), re.IGNORECASE)
        return found.group(1) if found else None

    def healthy(self):
        try:
            return self.raw("GET", "/healthz", timeout=3)[0] == 200
        except OSError:
            return False

    def __exit__(self, kind, value, trace):
        with contextlib.ExitStack() as ending:  # the hub last
            for program in (self.hub, *self.agents.values()):
                ending.callback(program.stop)
        if kind is not None:
            for log in sorted(self.root.glob("*.log")):
                print(f"--- {log.name} (end)\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        if self.own_root and not os.environ.get("LEDGE_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)
        return False

    def no_timer(self, which):
        """Have the which-th timer from now on fail, in the programs started with `env=self.shim()`."""
        path = self.root / "no_timer"
        partial = path.with_suffix(".new")
        partial.write_text(str(which))
        partial.rename(path)
        return path

    def shim(self):
        library = self.bin.parent / "lib" / "libno_timer.so"
        assert library.exists(), library
        return {"LD_PRELOAD": str(library.resolve()), "LEDGE_NO_TIMER": str(self.root / "no_timer")}

    # -- devices ------------------------------------------------------------------------------------------------------
    def add_device(self, name, start=True):
        token = self.api("POST", "/enroll-tokens", {"device": name})["token"]
        state = self.root / name
        done = subprocess.run([str(self.bin / "ledge-agent"), "enroll", "--hub", self.url, "--token", token,
                               "--state", str(state), "--name", name], capture_output=True, text=True, timeout=ANSWER_S)
        assert done.returncode == 0, f"enroll {name}: {done.stdout}{done.stderr}"
        agent = Program(name, [self.bin / "ledge-agent", "run", "--state", state], self.root / f"{name}.log")
        self.agents[name] = agent
        if start:
            agent.start()
            wait_for(lambda: self.device(name).get("online"), f"{name} is online", 40)
        return agent

    def device(self, name):
        return self.api("GET", f"/devices/{name}")

    def push_model(self, name, path, meta=None):
        return self.push("models", name, path, {"file": pathlib.Path(path).name, **(meta or {})})

    def push_function(self, name, path, meta=None):
        return self.push("functions", name, path, {"file": pathlib.Path(path).name, **(meta or {})})

    def push(self, kind, name, path, meta):
        status, body, _ = self.raw("POST", f"/api/v1/{kind}/{name}/versions", pathlib.Path(path).read_bytes(),
                                   {"Content-Type": "application/octet-stream", "X-Ledge-Meta": json.dumps(meta)})
        assert status in (200, 201), f"push {name}: {status} {body[:300]}"
        return json.loads(body)

    def deploy(self, devices="all", models=(), functions=(), trial_s=1, wait=60):
        made = self.api("POST", "/deployments", {"devices": devices, "models": list(models), "functions": list(functions),
                                                 "policy": {"trial_s": trial_s}})
        if wait:
            wait_for(lambda: self.deployed(made["id"]), f"deployment {made['id']} is confirmed everywhere", wait, 0.1)
        return made["id"]

    def deployed(self, deployment):
        item = self.api("GET", f"/deployments/{deployment}")
        return item["total"] > 0 and all(d["state"] == "CONFIRMED" for d in item["devices"])

    # -- REST ---------------------------------------------------------------------------------------------------------
    def raw(self, method, path, body=None, headers=None, timeout=ANSWER_S, token=True):
        context = ssl.create_default_context(cafile=str(self.hub_state / "ca.crt")) if (self.hub_state / "ca.crt").exists() \
            else ssl._create_unverified_context()
        link = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        with contextlib.closing(link):
            send = dict(headers or {})
            if token and self.token:
                send.setdefault("Authorization", f"Bearer {self.token}")
            link.request(method, path, body, send)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers

    def api(self, method, path, value=None, expect=None):
        body = json.dumps(value).encode() if value is not None else None
        status, text, _ = self.raw(method, "/api/v1" + path, body, {"Content-Type": "application/json"} if body else {})
        good = status == expect if expect else 200 <= status < 300
        assert good, f"{method} {path}: {status} {text[:400]!r}"
        return json.loads(text) if text else None

    def items(self, path):
        """Every item of a list, page by page."""
        found, cursor, mark = [], None, "&" if "?" in path else "?"
        while True:
            page = self.api("GET", path + (f"{mark}cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                return found

    def database(self):
        """The hub's database, read-only."""
        files = list(self.hub_state.glob("*.db"))
        assert len(files) == 1, files
        return sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True, timeout=10)


def children(pid):
    """Process ids below pid, itself excluded."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found + [grand for child in found for grand in children(child)]


def command(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
