#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two sample functions against a real ledge-serve and an agent's socket: what they publish, and that no kill of
function, serve or agent loses or doubles a record.

Usage: functions_test.py LEDGE_SERVE FUNCTION... (a .py file or a program)
The agent here is a stand-in of this test: it keeps records in memory, and can refuse, forget to answer, and restart.
"""
import base64
import collections
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from protocol_test import JPEG, png
from serving import Server, clean, wait_for
from tiny_onnx import conv_of

FRAMES = 60


class Agent:
    """POST /v1/records on a unix socket. faults: answers to give before a good one: a status, "drop" (stored, but the
    connection ends without an answer), "close" (ends before storing). refused_frame: its prediction is answered 400,
    whenever it comes: faults meet whichever record is next, and metrics come by the clock."""

    def __init__(self, path):
        self.path, self.records, self.faults, self.server, self.lock = str(path), [], [], None, threading.Lock()
        self.refused_frame = None

    def start(self):
        agent = self
        if os.path.exists(self.path):
            os.remove(self.path)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                kind, meta = query["kind"][0], json.loads(self.headers["X-Ledge-Meta"])
                with agent.lock:
                    fault = agent.faults.pop(0) if agent.faults else None
                    if fault is None and kind == "prediction" and meta["frame"] == agent.refused_frame:
                        fault = 400
                    if fault is None or fault == "drop":
                        agent.records.append((kind, query["class"][0], meta, body))
                    seq = len(agent.records)
                if fault in ("drop", "close"):
                    self.close_connection = True
                    return
                answer = json.dumps({"epoch": "e", "seq": seq} if fault is None else {"error": "refused"}).encode()
                self.send_response(fault or 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def address_string(self):
                return "local"

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Listener(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        os.remove(self.path)

    def of(self, kind):
        with self.lock:
            return [(meta, body) for found, _, meta, body in self.records if found == kind]


class Function:
    def __init__(self, program, server, agent, root, config, path=None):
        self.argv = ([sys.executable] if program.endswith(".py") else []) + [program]
        self.env = {**os.environ, "LEDGE_SERVE_SOCKET": str(server.socket), "LEDGE_AGENT_SOCKET": agent.path, "LEDGE_DEVICE": "cam",
                    "LEDGE_FUNCTION": "watch", "LEDGE_CONFIG": json.dumps(config), "LEDGE_STATE": str(root / "state")}
        if path:
            self.env["PATH"] = path
        self.log, self.child = root / "watch.log", None

    def start(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.argv, env=self.env, stdout=out, stderr=out)

    def kill(self, number=signal.SIGKILL):
        self.child.send_signal(number)
        return self.child.wait(120)

    def text(self):
        return self.log.read_text()


def make_frames(folder):
    """Every third picture is uniform (doubtful); the others have one bright pixel, whose place decides the class."""
    doubtful = set()
    for i in range(FRAMES):
        name = f"{'a' if i % 2 else 'b'}/frame-{i:03d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        bright = None if i % 3 == 0 else i % 9
        (folder / name).write_bytes(png(3, 3, [[(255, 255, 255) if y * 3 + x == bright else (i, 0, 0) for x in range(3)] for y in range(3)]))
        if bright is None:
            doubtful.add(name)
    (folder / "notes.txt").write_text("no picture")
    return doubtful


def order_of(agent):
    return [meta["frame"] for meta, _ in agent.of("prediction")]


def publishes(program, server, root):
    """One round over the folder, with every refusal that the agent may answer."""
    agent = Agent(root / "agent.sock")
    frames = root / "frames"
    doubtful = make_frames(frames)
    agent.faults = [507, 500, "close", None, None, "close", 503]
    agent.refused_frame = "b/frame-004.png"
    agent.start()
    config = {"source": str(frames), "model": "m", "fps": 0, "loop": False, "threshold": 0.5, "alert_label": "20", "alert_threshold": 0.6,
              "alert_streak": 1, "metric_s": 0.2, "top": 2}
    function = Function(program, server, agent, root, config)
    function.start()
    wait_for(lambda: any(meta["requests"] == FRAMES for meta, _ in agent.of("metric")), f"{program}: a whole round", 60)
    assert function.kill(signal.SIGTERM) == 0, function.text()
    agent.stop()
    names = sorted(str(p.relative_to(frames)) for p in frames.rglob("*.png"))
    seen = order_of(agent)
    assert seen == [name for name in names if name != agent.refused_frame], "sorted by name; only what was answered 400 is left out"
    keys = [meta["key"] for meta, _ in agent.of("prediction")]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)
    meta = next(m for m, _ in agent.of("prediction") if m["frame"] == "b/frame-002.png")
    assert meta["label"] == "20" and 0.65 < meta["score"] < 0.68 and meta["version"] == "1" and meta["model"] == "m", meta
    assert meta["function"] == "watch" and meta["simulated"] is True and meta["ms"] > 0 and len(meta["top"]) == 2 and meta["top"][0][0] == "20", meta
    samples = agent.of("sample")
    assert sorted(m["frame"] for m, _ in samples) == sorted(doubtful)
    for about, body in samples:
        assert body == (frames / about["frame"]).read_bytes() and about["reason"] == "low-confidence" and about["content_type"] == "image/png"
    texts = [m["text"] for m, _ in agent.of("alert")]
    assert any("20 seen" in text for text in texts) and any("in a row under" in text for text in texts), texts
    metric = agent.of("metric")[-1][0]
    assert metric["failed"] == 0 and "p99_ms" in metric and "max_ms" in metric, metric
    keys = [meta["key"] for kind in ("prediction", "alert", "sample", "metric") for meta, _ in agent.of(kind)]
    assert len(set(keys)) == len(keys), "no key twice"
    assert "simulated" in function.text() and "not stored (507" in function.text(), function.text()
    shutil.rmtree(root / "state")
    return frames, doubtful


def waits(program, server, root):
    """A folder that is not there, or empty, is told once; pictures that come later are seen."""
    agent = Agent(root / "agent.sock")
    agent.start()
    function = Function(program, server, agent, root, {"source": str(root / "late"), "model": "m", "fps": 0, "loop": False})
    function.start()
    wait_for(lambda: f"no picture in {root}/late (from {os.getcwd()}) yet" in function.text(), "that there is no picture\n")
    make_frames(root / "made")
    (root / "made").rename(root / "late")  # all at once
    wait_for(lambda: len(order_of(agent)) == FRAMES, "what came later\n" + function.text())
    assert function.kill(signal.SIGTERM) == 0
    agent.stop()
    assert function.text().count("no picture in") == 1, function.text()
    shutil.rmtree(root / "state")


def shuffles(program, server, root, frames):
    """The order by seed, for both programs the same."""
    agent = Agent(root / "agent.sock")
    agent.start()
    config = {"source": str(frames), "model": "m", "fps": 0, "order": "shuffled", "seed": 7, "threshold": 0}
    function = Function(program, server, agent, root, config)
    function.start()
    wait_for(lambda: len(order_of(agent)) >= 2 * FRAMES, "two rounds")
    assert function.kill(signal.SIGTERM) == 0
    agent.stop()
    shutil.rmtree(root / "state")
    seen = order_of(agent)[:2 * FRAMES]
    assert sorted(seen[:FRAMES]) == sorted(seen[FRAMES:]) and seen[:FRAMES] != seen[FRAMES:] != sorted(seen[FRAMES:])
    return seen


def survives(program, server, root, frames, doubtful, kills=12):
    """Function, serve and agent are killed while frames flow; swaps go on; then every record is there once, by its key."""
    agent = Agent(root / "agent.sock")
    agent.start()
    config = {"source": str(frames), "model": "m", "fps": 100, "threshold": 0.5, "metric_s": 0.5}
    function = Function(program, server, agent, root, config)
    function.start()
    model = {"1": root / "model.onnx", "2": root / "model.onnx"}
    for i in range(kills):
        before = len(order_of(agent))
        wait_for(lambda: len(order_of(agent)) > before + 8, "frames flow\n" + function.text()[-500:])
        victim = i % 4
        if victim == 0:
            function.kill()
            function.start()
        elif victim == 1:
            server.child.kill()
            server.child.wait(120)
            server.start()
            assert server.load("m", model["1"])[0] == 200
        elif victim == 2:
            agent.stop()
            time.sleep(random.uniform(0, 0.2))
            agent.start()
        else:
            agent.faults += ["drop"]
            assert server.load("m", model["2"], 2)[0] == 200
            assert server.load("m", model["1"], 1)[0] == 200
    wait_for(lambda: len(order_of(agent)) > FRAMES * 2, "more than two rounds")
    assert function.kill(signal.SIGTERM) == 0
    agent.stop()
    by_key = collections.defaultdict(list)
    for meta, _ in agent.of("prediction"):
        by_key[int(meta["key"].split("-")[1])].append(meta["frame"])
    numbers = sorted(by_key)
    assert numbers == list(range(numbers[-1] + 1)), "no frame is lost"
    assert all(len(set(names)) == 1 for names in by_key.values()), "a key always means the same frame"
    twice = sum(len(names) - 1 for names in by_key.values())
    stored = collections.defaultdict(set)
    for meta, _ in agent.of("sample"):
        stored[meta["frame"]].add(meta["key"])
    assert set(stored) == doubtful and all(len(keys) == 1 for keys in stored.values()), "each doubtful picture once, under one key"
    print(f"{pathlib.Path(program).name}: {kills} kills and swaps, {len(numbers)} frames, 0 lost; {len(stored)} samples, 0 twice; "
          f"{twice} predictions sent again with the same key after an answer that never came")
    shutil.rmtree(root / "state")


def reads_ffmpeg(program, server, root):
    """The stream that ffmpeg makes of a camera: its multipart form from a stand-in of that name on PATH; then, where there
    is a real ffmpeg, its test picture in place of the camera."""
    jpeg = base64.b64decode(JPEG)
    (root / "part").write_bytes(b"--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg))
    (root / "bin").mkdir(exist_ok=True)
    stand_in = root / "bin/ffmpeg"
    stand_in.write_text(f"#!/bin/sh\necho \"$@\" >>{root}/arguments\ncat {root}/part {root}/part {root}/part\n")
    stand_in.chmod(0o755)
    agent = Agent(root / "agent.sock")
    agent.start()
    function = Function(program, server, agent, root, {"source": "/dev/video9", "model": "m", "fps": 3, "threshold": 1.0, "sample_interval_s": 3600},
                        path=f"{root}/bin:{os.environ['PATH']}")
    function.start()
    wait_for(lambda: len(order_of(agent)) >= 9, "frames of three starts of ffmpeg\n")
    assert function.kill(signal.SIGTERM) == 0
    agent.stop()
    assert "-f v4l2 -i /dev/video9 -r 3" in (root / "arguments").read_text()
    assert len(agent.of("sample")) == 1 and agent.of("sample")[0][1] == jpeg
    assert all(meta["simulated"] is False for meta, _ in agent.of("prediction"))
    assert len(set(order_of(agent))) == len(order_of(agent))
    shutil.rmtree(root / "state")
    real = shutil.which("ffmpeg")
    if real is None:
        print("real ffmpeg: skipped, there is none")
        return
    stand_in.write_text(f"#!/bin/sh\nexec {real} -nostdin -loglevel error -f lavfi -i testsrc=size=64x48:rate=30 -r 30 -q:v 4 -f mpjpeg -\n")
    agent = Agent(root / "agent.sock")
    agent.start()
    function.start()
    wait_for(lambda: len(order_of(agent)) >= 40, "frames of ffmpeg's test picture\n" + function.text()[-300:])
    assert function.kill(signal.SIGTERM) == 0
    agent.stop()
    assert "camera ended" not in function.text()[function.text().rindex("camera /dev/video9"):]
    shutil.rmtree(root / "state")


def main():
    orders = []
    for program in sys.argv[2:]:
        with Server(sys.argv[1]) as server:
            root = pathlib.Path(tempfile.mkdtemp(prefix="ledge-function-"))
            (root / "model.onnx").write_bytes(conv_of(50, 0, metadata={"ledge.preprocess": '{"layout":"nchw"}'}))
            assert server.load("m", root / "model.onnx")[0] == 200
            waits(program, server, root)
            frames, doubtful = publishes(program, server, root)
            orders.append(shuffles(program, server, root, frames))
            survives(program, server, root, frames, doubtful)
            reads_ffmpeg(program, server, root)
            shutil.rmtree(root)
        clean(server)
    assert all(order == orders[0] for order in orders), "the same seed is the same order in every program"


if __name__ == "__main__":
    main()
