#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watch a camera: each frame to ledge-serve, each result to the agent, doubtful pictures to the outbox.

Python standard library only. watch.c beside it does the same; README.md says the protocol that both follow.
Frames are taken one after another. What was told to the agent is on disk there before the position moves on, and
every record carries a key that a repeated attempt repeats, so that a kill at any point neither loses nor doubles one.
"""
import argparse
import http.client
import json
import math
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time

PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
DEFAULTS = {
    "source": "", "model": "", "fps": 5.0, "order": "sorted", "seed": 0, "loop": True, "threshold": 0.8, "top": 3,
    "alert_label": "", "alert_threshold": 0.9, "alert_streak": 0, "sample_interval_s": 0.0, "metric_s": 10.0,
}
MAX_CLASSES = 1000


class Stop:
    """Set by a signal; waits in short steps, because sleep goes on after a signal and locks do not bear one."""

    def __init__(self):
        self.flag = False

    def set(self, *_):
        self.flag = True

    def is_set(self):
        return self.flag

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while not self.flag and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


stop = Stop()


def log(text):
    print(text, flush=True)


class Local(http.client.HTTPConnection):
    """HTTP/1.1 over a unix socket, kept open between calls."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, target, body, headers):
        """(status, body); a kept connection that the server had closed meanwhile is opened again once."""
        for attempt in (0, 1):
            kept = self.sock is not None
            try:
                self.request(method, target, body, headers)
                answer = self.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as problem:
                self.close()
                gone = isinstance(problem, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected))
                if attempt or not kept or not gone:
                    raise
        raise AssertionError


class Backoff:
    """50 ms, doubled up to 2 s, with jitter; ends early when the function is stopped."""

    def __init__(self):
        self.delay = 0.05

    def wait(self):
        stop.wait(self.delay * random.uniform(0.5, 1.0))
        self.delay = min(self.delay * 2, 2.0)


class State:
    """Position and the names of stored frames, in LEDGE_STATE.

    `position`: one line "v1 RUN NUMBER PASS INDEX", replaced by rename; `stored`: one name a line, appended.
    """

    def __init__(self, folder):
        self.folder = folder
        self.run, self.number, self.round, self.index = secrets.token_hex(6), 0, 0, 0
        self.stored = set()
        os.makedirs(folder, exist_ok=True)
        try:
            with open(os.path.join(folder, "position"), encoding="utf-8") as file:
                version, run, number, turn, index = file.read().split()
            if version == "v1":
                self.run, self.number, self.round, self.index = run, int(number), int(turn), int(index)
        except (FileNotFoundError, ValueError):
            self.save()
        self.list = os.open(os.path.join(folder, "stored"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._read_stored()

    def _read_stored(self):
        with open(self.list, "rb", closefd=False) as file:
            text = file.read()
        whole = text[:text.rfind(b"\n") + 1]  # a line torn by a crash is taken away
        if whole != text:
            os.ftruncate(self.list, len(whole))
        self.stored = {line.decode(errors="surrogateescape") for line in whole.split(b"\n") if line}

    def save(self):
        path = os.path.join(self.folder, "position")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(f"v1 {self.run} {self.number} {self.round} {self.index}\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def add_stored(self, name):
        os.write(self.list, (name + "\n").encode(errors="surrogateescape"))
        os.fsync(self.list)
        self.stored.add(name)

    def key(self, kind):
        return f"{self.run}-{self.number:09d}-{kind}"


def splitmix64(state):
    """The next state and number of the generator of Steele, Lea and Flood (2014)."""
    mask = (1 << 64) - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return state, z ^ (z >> 31)


class Folder:
    """A folder as a camera: its pictures in sorted order, or shuffled anew for each round by the seed."""

    simulated = True

    def __init__(self, path, config, state):
        self.path, self.config, self.state, self.names, self.listed = path, config, state, [], None
        self.told = False
        self.due = time.monotonic()

    def _list(self):
        found = []
        for folder, _, names in os.walk(self.path):
            found += [os.path.relpath(os.path.join(folder, name), self.path) for name in names
                      if os.path.splitext(name)[1].lower() in PICTURES and "\n" not in name]
        found.sort(key=os.fsencode)
        if self.config["order"] == "shuffled":
            number = (int(self.config["seed"]) + self.state.round) & ((1 << 64) - 1)
            for i in range(len(found) - 1, 0, -1):
                number, value = splitmix64(number)
                k = value % (i + 1)
                found[i], found[k] = found[k], found[i]
        self.names, self.listed = found, self.state.round
        if not found and not self.told:
            log(f"no picture in {self.path} (from {os.getcwd()}) yet")
        self.told = not found

    def next(self):
        """(name, content type, bytes), or None when there is none now."""
        if self.listed != self.state.round:
            self._list()
        if self.state.index >= len(self.names):
            if not self.names or (not self.config["loop"] and self.state.round == 0):
                stop.wait(1.0)
                self.listed = None if not self.names else self.listed
                return None
            self.state.round, self.state.index = self.state.round + 1, 0
            self._list()
            return None
        self._pace()
        name = self.names[self.state.index]
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                return name, PICTURES[os.path.splitext(name)[1].lower()], file.read()
        except OSError as problem:
            log(f"{name}: {problem}; left out")
            self.advance()
            return None

    def _pace(self):
        if self.config["fps"] > 0:
            now = time.monotonic()
            self.due = max(self.due, now - 1.0)
            stop.wait(max(0.0, self.due - now))
            self.due += 1.0 / self.config["fps"]

    def advance(self):
        self.state.index += 1


class Ffmpeg:
    """A V4L2 or RTSP camera through ffmpeg, as parts of a multipart JPEG stream, each with its length."""

    simulated = False

    def __init__(self, source, config, state):
        if shutil.which("ffmpeg") is None:
            sys.exit(f"watch: {source} needs the program ffmpeg, which is not installed")
        form = ["-f", "v4l2"] if source.startswith("/dev/") else ["-rtsp_transport", "tcp"]
        rate = ["-r", str(config["fps"])] if config["fps"] > 0 else []
        self.argv = ["ffmpeg", "-nostdin", "-loglevel", "error", *form, "-i", source, *rate, "-q:v", "4", "-f", "mpjpeg", "-"]
        self.child, self.backoff, self.state = None, Backoff(), state

    def next(self):
        if self.child is None:
            self.child = subprocess.Popen(self.argv, stdout=subprocess.PIPE)
        picture = self._part()
        if picture is None:
            self.child.kill()
            log(f"camera ended ({self.child.wait()}); starting it again")
            self.child = None
            self.backoff.wait()
            return None
        self.backoff = Backoff()
        return f"{self.state.run}-{self.state.number:09d}", "image/jpeg", picture

    def _part(self):
        size = 0
        while True:
            line = self.child.stdout.readline(1024)
            if not line:
                return None
            field = line.decode("latin-1").strip().lower()
            if field.startswith("content-length:"):
                size = int(field.split(":")[1])
            elif not field and size:
                picture = self.child.stdout.read(size)
                return picture if len(picture) == size else None

    def advance(self):
        pass


class Counts:
    """Requests since the start; latencies since the last report."""

    def __init__(self):
        self.requests = self.failed = 0
        self.ms = []
        self.due = None

    def report(self):
        times = sorted(self.ms)
        pick = lambda q: times[min(len(times) - 1, max(0, math.ceil(q * len(times)) - 1))] if times else 0.0
        values = {"requests": self.requests, "failed": self.failed, "p50_ms": round(pick(0.5), 3),
                  "p99_ms": round(pick(0.99), 3), "max_ms": round(times[-1], 3) if times else 0.0}
        self.ms = []
        return values


class Watch:
    def __init__(self, config):
        self.config = config
        self.function = os.environ.get("LEDGE_FUNCTION", "watch")
        self.serve = Local(os.environ["LEDGE_SERVE_SOCKET"])
        self.agent = Local(os.environ["LEDGE_AGENT_SOCKET"])
        self.state = State(os.environ["LEDGE_STATE"])
        camera = config["source"].startswith(("/dev/", "rtsp://", "rtsps://"))
        self.source = (Ffmpeg if camera else Folder)(config["source"], config, self.state)
        self.counts, self.streak, self.alarmed, self.sampled, self.version = Counts(), 0, False, -math.inf, None

    # -- serve --------------------------------------------------------------------------------------------------------
    def predict(self, content_type, picture):
        """The answer as an object with ms; None only when the function is stopped or the picture is refused."""
        target = f"/v2/models/{self.config['model']}/infer?classification={MAX_CLASSES}"
        backoff, told = Backoff(), False
        while not stop.is_set():
            start = time.monotonic()
            try:
                status, body = self.serve.call("POST", target, picture, {"Content-Type": content_type})
                text = body.decode(errors="replace")[:200]
            except (OSError, http.client.HTTPException) as problem:
                status, text = 0, str(problem) or type(problem).__name__
            ms = (time.monotonic() - start) * 1e3
            if status == 200:
                self.counts.requests += 1
                self.counts.ms.append(ms)
                return {**json.loads(body), "ms": ms}
            if self.version is not None or status not in (0, 404, 503):
                self.counts.requests += 1  # before the first answer serve may still be starting
                self.counts.failed += 1
            if not told:
                log(f"no prediction ({status} {text}); trying again")
                told = True
            if status in (400, 413, 415):
                return None
            backoff.wait()
        return None

    def rank(self, answer):
        """[(label, probability)], greatest first; scores that are no distribution go through softmax."""
        found = []
        for item in answer["outputs"][0]["data"]:
            score, _, rest = item.partition(":")
            index, _, label = rest.partition(":")
            if score:
                found.append((label or index, float(score)))
        total = sum(score for _, score in found)
        if found and (found[-1][1] < 0 or not 0.9 <= total <= 1.1):
            powers = [math.exp(score - found[0][1]) for _, score in found]
            found = [(label, power / sum(powers)) for (label, _), power in zip(found, powers)]
        return found

    # -- agent --------------------------------------------------------------------------------------------------------
    def record(self, kind, meta, body=b"", importance="normal"):
        """True once the agent has it on disk; the same key with every attempt."""
        headers = {"X-Ledge-Meta": json.dumps(meta, separators=(",", ":")), "Content-Type": "application/octet-stream"}
        backoff, told = Backoff(), False
        while not stop.is_set():
            try:
                status, answer = self.agent.call("POST", f"/v1/records?kind={kind}&class={importance}", body, headers)
                text = answer.decode(errors="replace")[:200]
            except (OSError, http.client.HTTPException) as problem:
                status, text = 0, str(problem) or type(problem).__name__
            if status == 200:
                return True
            if not told:
                log(f"{kind} {meta['key']} not stored ({status} {text})")
                told = True
            if 400 <= status < 500:
                return True  # the agent will never take it; the log says so
            backoff.wait()
        return False

    # -- one frame ----------------------------------------------------------------------------------------------------
    def frame(self, name, content_type, picture):
        """False when it was stopped half way: the frame will be taken again, with the same keys."""
        answer = self.predict(content_type, picture)
        if answer is None:
            return not stop.is_set()
        if answer["model_version"] != self.version:
            log(f"model {self.config['model']} version {answer['model_version']} answers")
            self.version = answer["model_version"]
        ranking = self.rank(answer)
        label, score = ranking[0] if ranking else ("", 0.0)
        meta = {"function": self.function, "model": self.config["model"], "version": self.version, "label": label,
                "score": round(score, 6), "top": [[item, round(value, 6)] for item, value in ranking[:self.config["top"]]],
                "frame": name.encode(errors="replace").decode(), "ms": round(answer["ms"], 3),
                "simulated": self.source.simulated}
        return (self.record("prediction", {**meta, "key": self.state.key("p")})
                and self.alert(label, score, meta) and self.sample(name, content_type, picture, score, meta))

    def alert(self, label, score, meta):
        config = self.config
        self.streak = self.streak + 1 if score < config["threshold"] else 0
        seen = bool(config["alert_label"]) and label == config["alert_label"] and score >= config["alert_threshold"]
        text, severity = None, None
        if seen and not self.alarmed:
            text, severity = f"{label} seen with {score:.2f}", "critical"
        elif config["alert_streak"] > 0 and self.streak == config["alert_streak"]:
            text, severity = f"{self.streak} frames in a row under {config['threshold']:.2f}", "warning"
        self.alarmed = seen
        if text is None:
            return True
        about = {"function": self.function, "text": text, "severity": severity, "label": label, "score": meta["score"],
                 "frame": meta["frame"], "simulated": self.source.simulated, "key": self.state.key("a")}
        return self.record("alert", about, importance="critical")

    def sample(self, name, content_type, picture, score, meta):
        waited = time.monotonic() - self.sampled >= self.config["sample_interval_s"]
        if score >= self.config["threshold"] or name in self.state.stored or not waited:
            return True
        about = {**meta, "content_type": content_type, "reason": "low-confidence", "key": self.state.key("s")}
        if not self.record("sample", about, picture, "bulk"):
            return False
        self.state.add_stored(name)
        self.sampled = time.monotonic()
        return True

    def metric(self):
        now = time.monotonic()
        if self.counts.due is None:
            self.counts.due = now + self.config["metric_s"]
        if now < self.counts.due:
            return
        self.counts.due = now + self.config["metric_s"]
        values = self.counts.report()
        log(" ".join(f"{name} {value}" for name, value in values.items()))
        self.record("metric", {"function": self.function, **values, "key": self.state.key(f"m{time.time_ns() // 1000000}")})

    def run(self):
        kind = "simulated camera: pictures of the folder" if self.source.simulated else "camera"
        log(f"{kind} {self.config['source']}, model {self.config['model']}, {self.config['fps']:g} frames/s, "
            f"run {self.state.run} from number {self.state.number}")
        while not stop.is_set():
            taken = self.source.next()
            if taken is not None and not stop.is_set() and self.frame(*taken):
                self.source.advance()
                self.state.number += 1
                self.state.save()
            self.metric()
        log(f"stopped at number {self.state.number}")


def options():
    """DEFAULTS, under LEDGE_CONFIG, under the command line."""
    config = dict(DEFAULTS)
    given = json.loads(os.environ.get("LEDGE_CONFIG") or "{}")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in DEFAULTS.items():
        kind = (lambda text: text.lower() in ("1", "true", "yes")) if isinstance(default, bool) else type(default)
        parser.add_argument("--" + name.replace("_", "-"), dest=name, type=kind)
    told = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    for name, value in {**given, **told}.items():
        if name in config:
            config[name] = type(DEFAULTS[name])(value)
    missing = [name for name in ("source", "model") if not config[name]]
    lost = [name for name in ("LEDGE_SERVE_SOCKET", "LEDGE_AGENT_SOCKET", "LEDGE_STATE") if not os.environ.get(name)]
    if missing or lost:
        sys.exit(f"watch: not given: {', '.join(missing + lost)}")
    return config


def main():
    config = options()
    signal.signal(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, stop.set)
    Watch(config).run()


if __name__ == "__main__":
    main()
