#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ledge-serve by its protocol: every route, every way in and out, and what a hostile client may send.

Usage: protocol_test.py LEDGE_SERVE
"""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import ssl
import struct
import subprocess
import sys
import threading
import zlib

from serving import Server, clean
from tiny_onnx import conv_of, greater_than

X27 = list(range(1, 28))


def expected(values, scale, offset, pixels=9):
    """What tiny_onnx.conv_of answers for one row."""
    sums = [sum(values[c * pixels + p] for c in range(3)) for p in range(pixels)]
    return [scale * s + offset + c for c in range(3) for s in sums]


def x_input(values=X27, rows=1, **more):
    return {"name": "x", "shape": [rows, 3, 3, 3], "datatype": "FP32", "data": values, **more}


def png(width, height, pixels):
    """pixels: rows of (r, g, b)."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + b"".join(bytes(p) for p in row) for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def near(got, want, tolerance=1e-3):
    assert len(got) == len(want), (len(got), len(want))
    for i, (a, b) in enumerate(zip(got, want)):
        assert abs(a - b) <= tolerance * max(1, abs(b)), (i, a, b)


def metadata(server):
    assert server.get("/v2") == (200, {"name": "ledge-serve", "version": "0.1.0", "extensions": [
        "binary_tensor_data", "classification", "model_repository", "statistics"]})
    assert server.get("/v2/health/live") == (200, {"live": True})
    assert server.get("/v2/health/ready") == (200, {"ready": True})
    status, about = server.get("/v2/models/m")
    assert status == 200 and about["name"] == "m" and about["versions"] == ["1"] and about["platform"] == "ledge"
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 3, 3]}]
    assert server.get("/v2/models/m/versions/1")[0] == 200
    assert server.get("/v2/models/m/versions/2")[0] == 404
    assert server.get("/v2/models/m/ready") == (200, {"name": "m", "version": "1", "ready": True})
    for path in ("/v2/models/other", "/v2/models/m/nothing", "/v2/models/", "/v2/models//ready", "/", "/v3", "/v2/models/%2e%2e/ready"):
        status, problem = server.get(path)
        assert status == 404 and list(problem) == ["error"], path
    assert server.call("PUT", "/v2")[0] == 405
    assert server.call("GET", "/v2/models/m/infer")[0] == 405


def infer_json(server):
    status, answer = server.post("/v2/models/m/infer", {"id": "a7", "inputs": [x_input()]})
    assert status == 200 and answer["id"] == "a7" and answer["model_name"] == "m" and answer["model_version"] == "1"
    assert answer["outputs"][0]["shape"] == [1, 3, 3, 3] and answer["outputs"][0]["datatype"] == "FP32"
    near(answer["outputs"][0]["data"], expected(X27, 1, 10))
    rows = [X27, [-v for v in X27], [0.5] * 27]
    flat = [v for row in rows for v in row]
    nest = [[[row[c * 9 + y * 3:c * 9 + y * 3 + 3] for y in range(3)] for c in range(3)] for row in rows]
    for data in (flat, nest):
        status, answer = server.post("/v2/models/m/versions/1/infer", {"inputs": [x_input(data, 3)]})
        assert status == 200 and answer["outputs"][0]["shape"] == [3, 3, 3, 3] and "id" not in answer
        near(answer["outputs"][0]["data"], [v for row in rows for v in expected(row, 1, 10)])


def infer_binary(server):
    rows = [X27, list(range(27, 0, -1))]
    raw = struct.pack("<54f", *[v for row in rows for v in row])
    want = [v for row in rows for v in expected(row, 1, 10)]
    head = {"inputs": [{"name": "x", "shape": [2, 3, 3, 3], "datatype": "FP32", "parameters": {"binary_data_size": 216}}]}

    def ask(head, raw, length=None):
        text = json.dumps(head).encode() if head is not None else b""
        sent = {"Inference-Header-Content-Length": str(len(text) if length is None else length),
                "Content-Type": "application/octet-stream"}
        return server.call("POST", "/v2/models/m/infer", text + raw, sent)

    status, headers, body = ask(head, raw)  # binary in, JSON out
    assert status == 200 and headers["Inference-Header-Content-Length"] is None
    near(json.loads(body)["outputs"][0]["data"], want)
    for more in ({"parameters": {"binary_data_output": True}}, {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}):
        status, headers, body = ask({**head, **more}, raw)
        at = int(headers["Inference-Header-Content-Length"])
        about = json.loads(body[:at])
        assert status == 200 and about["outputs"][0]["parameters"]["binary_data_size"] == 216 and "data" not in about["outputs"][0]
        near(struct.unpack("<54f", body[at:]), want)
    status, headers, body = ask(None, raw)  # length 0: the body is the tensor
    at = int(headers["Inference-Header-Content-Length"])
    assert status == 200 and json.loads(body[:at])["outputs"][0]["shape"] == [2, 3, 3, 3]
    near(struct.unpack("<54f", body[at:]), want)
    for head_, raw_, length in ((head, raw[:-1], None), (head, raw + b"x", None), (None, raw[:-1], None), (None, b"", None),
                                (head, raw, 1 << 40), (head, raw, -1), (head, raw, 3)):
        status, _, body = ask(head_, raw_, length)
        assert status == 400 and "error" in json.loads(body), (length, body)


def outputs(server):
    def ask(*wanted):
        return server.post("/v2/models/labelled/infer", {"inputs": [x_input()], "outputs": list(wanted)})
    status, answer = ask({"name": "y"}, {"name": "y", "parameters": {"classification": 2}})
    assert status == 200
    near(answer["outputs"][0]["data"], expected(X27, 2, 20))
    best = answer["outputs"][1]
    assert best["datatype"] == "BYTES" and best["shape"] == [1, 2], best
    assert best["data"] == ["130.000000:26", "129.000000:17"], best
    status, answer = ask({"name": "y", "parameters": {"classification": 27}})
    assert any(item.endswith(":0:red") for item in answer["outputs"][0]["data"]), answer
    assert ask({"name": "z"})[0] == 400


def pictures(server):
    rows = [[(0, 128, 255), (10, 20, 30), (1, 2, 3)], [(9, 9, 9), (255, 255, 255), (0, 0, 0)], [(4, 5, 6), (7, 8, 9), (50, 60, 70)]]
    picture = png(3, 3, rows)
    planes = [rows[y][x][c] / 255 for c in range(3) for y in range(3) for x in range(3)]
    want = expected(planes, 1, 10)
    status, answer = server.post("/v2/models/m/infer", picture, {"Content-Type": "image/png"})
    assert status == 200, answer
    near(answer["outputs"][0]["data"], want)
    status, answer = server.post("/v2/models/m/infer?classification=1", picture, {"Content-Type": "image/png"})
    assert status == 200 and answer["outputs"][0]["shape"] == [1, 1] and answer["outputs"][0]["data"][0].count(":") == 1
    body = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "image/png"}}
    status, answer = server.post("/v2/models/m/infer", {"inputs": [{**body, "data": [base64.b64encode(picture).decode()]}]})
    assert status == 200, answer
    near(answer["outputs"][0]["data"], want)
    binary = struct.pack("<I", len(picture)) + picture
    head = json.dumps({"inputs": [{**body, "shape": [2], "parameters": {"content_type": "image/png", "binary_data_size": 2 * len(binary)}}]})
    status, _, text = server.call("POST", "/v2/models/m/infer", head.encode() + 2 * binary,
                                  {"Inference-Header-Content-Length": str(len(head))})
    assert status == 200, text
    near(json.loads(text)["outputs"][0]["data"], want + want)
    jpeg = base64.b64decode(JPEG)
    status, answer = server.post("/v2/models/m/infer", jpeg, {"Content-Type": "image/jpeg"})
    assert status == 200, answer
    near(answer["outputs"][0]["data"], expected([200 / 255] * 9 + [100 / 255] * 9 + [50 / 255] * 9, 1, 10), 0.01)
    for bad in (b"", b"\xff\xd8\xff", picture[:40], jpeg[:100], b"GIF89a", picture[:20] + b"\xff\xff\xff\xff" + picture[24:]):
        status, answer = server.post("/v2/models/m/infer", bad, {"Content-Type": "image/png"})
        assert status == 400 and "error" in answer, (bad, answer)
    assert server.post("/v2/models/m/infer", {"inputs": [{**body, "data": ["*"]}]})[0] == 400
    assert server.post("/v2/models/m/infer", {"inputs": [{**body, "data": ["aGk="], "parameters": {}}]})[0] == 400


# 8x8 pixels of (200, 100, 50)
JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGB"
    "YUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAI"
    "AAgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhBy"
    "JxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKT"
    "lJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAA"
    "AAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRom"
    "JygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExc"
    "bHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwCpRRRX4ef0gf/Z"
)


def booleans(server):
    """BOOL out, as JSON and as bytes; a probe may write it as numbers or as words."""
    model, probe = server.root / "bool.onnx", server.root / "bool.probe"
    model.write_bytes(greater_than([1, 2, 3]))
    ask = {"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [2, 2, 2]}]}
    for data, status in (([1, 0, 0], 200), ([True, False, False], 200), ([1, 1, 0], 422), ([None, 0, 0], 422), ([1, 0], 422)):
        probe.write_text(json.dumps({**ask, "outputs": [{"name": "y", "data": data}]}))
        assert server.load("bool", model, status + len(str(data)), probe=str(probe))[0] == status, data
    status, answer = server.post("/v2/models/bool/infer", ask)
    assert status == 200 and answer["outputs"] == [{"name": "y", "datatype": "BOOL", "shape": [3], "data": [True, False, False]}]
    status, headers, body = server.call("POST", "/v2/models/bool/infer", json.dumps({**ask, "parameters": {"binary_data_output": True}}))
    assert body[int(headers["Inference-Header-Content-Length"]):] == b"\1\0\0"


def real_pictures(server):
    """The classes that are known for a photo and three models, from the folder LEDGE_DATA."""
    folder = pathlib.Path(os.environ.get("LEDGE_DATA") or pathlib.Path(__file__).resolve().parents[3] / "shared/data") / "models/tflite"
    if not folder.is_dir():
        print("real pictures: skipped, no folder LEDGE_DATA")
        return
    photo = (folder / "samples/burger.jpg").read_bytes()
    for name in ("mobilenet_v1_0.25_224_float", "mobilenet_v1_0.25_224_quant", "mobilenet_v2_1.0_224_quant"):
        assert server.load("photo", folder / f"{name}.tflite", name)[0] == 200
        status, answer = server.post("/v2/models/photo/infer?classification=1", photo, {"Content-Type": "image/jpeg"})
        score, index = answer["outputs"][0]["data"][0].split(":")[:2]
        assert status == 200 and index == "934" and float(score) > 0.9, (name, answer)


def hostile(server):
    huge = "[" * 100000
    for body in ("", "{", "null", huge, '{"inputs":' + huge, '{"inputs":[]}', '{"inputs":[{"name":"x"}]}',
                 '{"inputs":[{"name":"q","shape":[1,3,3,3],"datatype":"FP32","data":[]}]}',
                 {"inputs": [x_input(X27[:-1])]}, {"inputs": [x_input(X27 + [1])]}, {"inputs": [x_input(shape=[27])]},
                 {"inputs": [x_input(shape=[-1, 3, 3, 3])]}, {"inputs": [x_input(shape=[0, 3, 3, 3], data=[])]},
                 {"inputs": [x_input(shape=[1 << 31, 1 << 31, 1 << 31, 1 << 31])]}, {"inputs": [x_input(shape=[1e300])]},
                 {"inputs": [x_input(shape=[1 << 62, 4, 1, 1])]}, {"inputs": [x_input(datatype="INT32")]},
                 {"inputs": [x_input(datatype="BYTES")]}, {"inputs": [x_input(["1"] * 27)]}, {"inputs": [x_input([None] * 27)]},
                 {"inputs": [x_input([1e39] * 27)]}, {"inputs": [x_input([[1] * 27])]}, {"inputs": [x_input(), x_input()]},
                 {"inputs": [x_input(), {**x_input(), "name": "z"}]}, json.dumps({"inputs": [x_input()]}).replace("1,", "NaN,", 1),
                 json.dumps({"inputs": [x_input()]}).replace("1,", "1e999,", 1), {"id": {}, "inputs": [x_input()]},
                 {"inputs": [x_input()], "outputs": [{"name": "y", "parameters": {"classification": 1 << 40}}]},
                 b'{"inputs":[{"name":"\xff\xfe"}]}'):
        status, answer = server.post("/v2/models/m/infer", body)
        assert status == 400 and isinstance(answer["error"], str) and answer["error"], (status, str(body)[:100], answer)
    for method, path, status in (("GET", "/v2/models/m%2Fready", 404), ("POST", "/v2/models/m%2Finfer", 405), ("GET", "/v2%2Fmodels/m", 404),
                                 ("GET", "/v2/models/m/versions/1%2Fready", 404), ("GET", "/v2/%6dodels/%6D/ready", 200),
                                 ("GET", "/v2/models/m%00/ready", 400), ("GET", "/v2/models/m%0a/ready", 400)):
        assert server.call(method, path, b"{}" if method == "POST" else None)[0] == status, path
    assert server.post("/v2/models/other/infer", {"inputs": [x_input()]})[0] == 404
    assert server.post("/v2/models/m/infer", {"inputs": [x_input()]}, {"Content-Encoding": "gzip"})[0] == 415
    status, _, _ = server.call("POST", "/v2/models/m/infer", b" " * (3 << 20))
    assert status == 413
    assert server.post("/v2/models/m/infer", {"inputs": [x_input()]})[0] == 200


def control(server, models):
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for method, path in (("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/m/load"), ("POST", "/v2/repository/models/m/unload")):
        status, _, body = server.call(method, path, b"{}", link=link)
        assert status == 403 and b"unix socket" in body
    assert server.call("GET", "/v2/models/m/ready", link=link)[0] == 200
    link.close()
    digest = hashlib.sha256(models["b"].read_bytes()).hexdigest()
    probe = server.root / "probe.json"

    def probe_of(offset, **more):
        probe.write_text(json.dumps({"inputs": [x_input()], "outputs": [{"name": "y", "data": expected(X27, 2, offset)}], **more}))
        return probe

    assert server.load("p", models["a"], 1)[0] == 200
    for path, more, status in ((models["b"], {"sha256": "0" * 64}, 422), (models["torn"], {}, 400), (models["noise"], {}, 400),
                               (server.root / "absent", {}, 404), (models["b"], {"probe": str(server.root / "absent")}, 404),
                               (models["b"], {"probe": str(probe_of(21))}, 422), (models["b"], {"probe": str(models["noise"])}, 400),
                               (models["b"], {"probe": str(probe_of(20.5, tolerance=1e-4))}, 422)):
        got, answer = server.load("p", path, 2, **more)
        assert got == status and "\n" not in answer["error"] and answer["error"], (got, status, answer)
        got, answer = server.post("/v2/models/p/infer", {"inputs": [x_input()]})
        assert got == 200 and answer["model_version"] == "1"  # the old one keeps serving
        near(answer["outputs"][0]["data"], expected(X27, 1, 10))
    got, answer = server.load("p", models["b"], 2, sha256=digest, probe=str(probe_of(20)))
    assert got == 200 and answer["name"] == "p" and answer["version"] == "2" and answer["swap_ms"] < 1000 and answer["load_ms"] > 0, answer
    status, answer = server.post("/v2/models/p/infer", {"inputs": [x_input()]})
    assert answer["model_version"] == "2"
    near(answer["outputs"][0]["data"], expected(X27, 2, 20))
    got, answer = server.load("p", "/nowhere", 2, sha256=digest)  # the same bytes under the same version: nothing to do
    assert got == 200 and answer["swap_ms"] == 0
    for body in ("{}", "[]", "x", '{"parameters":{}}', '{"parameters":{"path":1}}', '{"parameters":{"path":"x","version":"a/b"}}'):
        got, answer = server.post("/v2/repository/models/p/load", body)
        assert got == 400 and answer["error"], (body, answer)
    index = server.post("/v2/repository/index", "")[1]
    assert {"name": "p", "version": "2", "state": "READY", "reason": "", "sha256": digest} in index
    sessions = server.metrics()["ledge_sessions_open"]
    assert server.post("/v2/repository/models/p/unload", "")[0] == 200
    assert server.metrics()["ledge_sessions_open"] == sessions - 2
    assert server.post("/v2/models/p/infer", {"inputs": [x_input()]})[0] == 404
    assert server.post("/v2/repository/models/p/unload", "")[0] == 404


def figures(server):
    metrics = server.metrics()
    good = metrics['ledge_infer_requests_total{model="m",version="1",code="200"}']
    bad = metrics['ledge_infer_requests_total{model="m",version="1",code="400"}']
    assert good > 5 and bad > 20
    assert metrics['ledge_infer_duration_seconds_count{model="m",version="1"}'] >= good + bad
    for stage in ("queue", "pre", "compute", "post"):
        assert metrics[f'ledge_infer_stage_seconds_count{{model="m",version="1",stage="{stage}"}}'] == good
    assert metrics['ledge_infer_pending{model="m"}'] == 0
    assert metrics['ledge_model_swap_seconds_count{model="p"}'] == 2
    assert metrics['ledge_model_loads_total{model="p",result="failed"}'] == 8
    assert metrics["process_resident_memory_bytes"] > 1e6
    stats = server.get("/v2/models/m/stats")[1]
    assert stats["failed"] >= bad and stats["requests"] >= good + bad
    mine = stats["model_stats"][0]
    assert mine["inference_stats"]["success"]["count"] == good
    assert 0 < mine["duration"]["p50_ms"] <= mine["duration"]["p99_ms"] <= mine["duration"]["max_ms"]


def by_curl(server):
    if shutil.which("curl") is None:
        print("curl: skipped, there is none")
        return
    def curl(*more):
        done = subprocess.run(["curl", "-sS", "--fail-with-body", *more], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done
        return json.loads(done.stdout)
    base = f"http://127.0.0.1:{server.port}"
    assert curl(base + "/v2")["name"] == "ledge-serve"
    body = json.dumps({"inputs": [x_input()]})
    near(curl("-d", body, base + "/v2/models/m/infer")["outputs"][0]["data"], expected(X27, 1, 10))
    big = json.dumps({"inputs": [x_input(X27 * 500, 500)]})  # over 1 KB curl says Expect: 100-continue
    file = server.root / "body.json"
    file.write_text(big)
    answer = curl("--unix-socket", str(server.socket), "--data-binary", f"@{file}", "http://localhost/v2/models/m/infer")
    assert answer["outputs"][0]["shape"] == [500, 3, 3, 3]


def busy(program, models):
    """One worker, one place to wait: what comes then is told so, and what was taken is answered although SIGTERM comes."""
    rows = 20000
    raw = struct.pack("<27f", *X27) * rows
    with Server(program, "--threads", 1, "--max-queue", 1, "--model", f"m={models['a']}") as server:
        results = []

        def ask():
            status, _, body = server.call("POST", "/v2/models/m/infer", raw, {"Inference-Header-Content-Length": "0"})
            results.append((status, len(body)))
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while server.metrics().get('ledge_infer_pending{model="m"}') == 0:
            assert any(thread.is_alive() for thread in threads)
        assert server.stop() == 0
        for thread in threads:
            thread.join()
        answered = [r for r in results if r[0] == 200]
        assert answered and all(n > rows * 27 * 4 for _, n in answered), results
        assert all(status in (200, 503) for status, _ in results) and len(results) == 8, results
        print(f"busy: {len(answered)} answered in full, {8 - len(answered)} told 503, then ended by SIGTERM")
        clean(server)


def by_tls(program, models):
    if shutil.which("openssl") is None:
        print("TLS: skipped, there is no openssl")
        return
    with Server(program) as plain:
        root = plain.root
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                           "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", root / "key", "-out", root / "cert"],
                          capture_output=True, check=False)
    assert made.returncode == 0, made
    with Server(program, "--cert", root / "cert", "--key", root / "key", "--model", f"m={models['a']}", root=root) as server:
        link = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=ssl.create_default_context(cafile=root / "cert"))
        assert server.call("GET", "/v2/models/m/ready", link=link)[0] == 200
        link.close()
    clean(server)


def command_line(program):
    for words, *args in [("--threads: '5x' is not a whole number from 1 to 64", "--threads", "5x"),
                         ("--max-body: '0' is not a whole number from 1 to 1024", "--max-body", "0"),
                         ("--max-queue: '65537' is not a whole number from 1 to 65536", "--max-queue", "65537"),
                         ("the port of --listen: '8o' is not a whole number from 0 to 65535", "--listen", "127.0.0.1:8o"),
                         ("--listen: 'here' is not HOST:PORT", "--listen", "here"),
                         ("--model: 'm' is not NAME=FILE", "--model", "m"), ("unexpected argument 'stray'", "stray")]:
        done = subprocess.run([program, *args], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and words in done.stderr.splitlines()[0], (args, done)


def main():
    program = sys.argv[1]
    command_line(program)
    with Server(program, "--max-body", 2) as server:
        models = {"a": server.root / "a.onnx", "b": server.root / "b.onnx", "torn": server.root / "torn.onnx", "noise": server.root / "noise"}
        models["a"].write_bytes(conv_of(1, 10, metadata={"ledge.preprocess": '{"layout":"nchw"}'}))
        models["b"].write_bytes(conv_of(2, 20, metadata={"ledge.labels": "red\ngreen\nblue"}))
        models["torn"].write_bytes(conv_of(1, 10)[:-60])
        models["noise"].write_bytes(bytes(range(256)) * 4)
        assert server.load("m", models["a"])[0] == 200
        assert server.load("labelled", models["b"])[0] == 200
        for part in (metadata, infer_json, infer_binary, outputs, booleans, pictures, real_pictures, hostile, by_curl):
            part(server)
            print(f"{part.__name__}: ok")
        control(server, models)
        figures(server)
        busy(program, models)
        by_tls(program, models)
    clean(server)
    print("control, figures, busy, TLS: ok")


if __name__ == "__main__":
    main()
