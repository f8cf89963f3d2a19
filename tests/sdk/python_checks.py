# SPDX-License-Identifier: Apache-2.0
"""What a program sees of the Python package, run where it is installed and nothing of this tree is on the path.

Usage: python_checks.py SEEDS MODELS OUT

SEEDS  folder of small ONNX models (fuzz/seeds/onnx)
MODELS folder of models (may be missing): each runs on random inputs, which are kept with the outputs as OUT/<name>.npz
       for another engine to compare with, or is refused by one line
"""
import gc
import json
import pathlib
import sys
import threading

import numpy

import ledge

# Shapes for dimensions a model leaves free, where 1 makes no sense.
SHAPES = {"ppocr_en_number_v2_rec": [1, 3, 32, 96], "ppocr_en_v3_det": [1, 3, 96, 96], "ppocr_v2_cls": [1, 3, 48, 192],
          "tract_qtdnn_10x5_101_i32_biases": [24, 10]}
SCALES = {"yunet_n_320_320": 255}  # takes pixels as they are


def refused(status, text, action, *arguments, **named):
    try:
        action(*arguments, **named)
    except ledge.Error as error:
        assert error.status == status and text in str(error) and "\n" not in str(error), (error.status, str(error))
        return
    raise AssertionError(f"not refused: {text}")


def inputs_of(session, shape=None, scale=1.0, seed=7):
    random, made = numpy.random.default_rng(seed), {}
    for info in session.inputs:
        dims = shape or [d if isinstance(d, int) else 1 for d in info.shape or []]
        if info.dtype.kind == "f":
            made[info.name] = (random.random(dims, dtype=numpy.float32) * numpy.float32(scale)).astype(info.dtype)
        else:
            made[info.name] = random.integers(0, 2, dims).astype(info.dtype)
    return made


def descriptions(seeds):
    session = ledge.Session(seeds / "conv.onnx")
    x, y = session.inputs[0], session.outputs[0]
    assert (x.name, x.dtype, x.shape) == ("x", numpy.float32, ("N", 1, 4, 4)), x
    assert (y.name, y.dtype) == ("y", numpy.float32), y
    assert isinstance(session.metadata, dict) and "x float32" in repr(session)
    assert ledge.version() == ledge.__version__ and ledge.cpu_rung() in ("c", "avx2", "avxvnni", "avx512", "avx512vnni")


def arrays(seeds):
    """In and out without copies, results that stay, arrays of one's own, lists, views, order, threads."""
    session = ledge.Session((seeds / "conv.onnx").read_bytes(), threads=2)
    feed = inputs_of(session)
    first = session.run(feed)["y"]
    kept = first.copy()
    assert first.ctypes.data % 64 == 0 and first.flags.c_contiguous and first.flags.writeable
    other = session.run({"x": -feed["x"]})["y"]
    assert numpy.array_equal(first, kept) and not numpy.array_equal(first, other)
    mine = numpy.empty_like(first)
    assert session.run(feed, out={"y": mine})["y"] is mine and numpy.array_equal(mine, kept)
    assert numpy.array_equal(session.run([feed["x"].tolist()])["y"], kept)
    wide = numpy.zeros((1, 1, 4, 8), numpy.float32)
    wide[..., ::2] = feed["x"]
    assert numpy.array_equal(session.run({"x": wide[..., ::2]})["y"], kept)
    odd = numpy.frombuffer(b"\0" + feed["x"].tobytes(), numpy.uint8)[1:].view(numpy.float32).reshape(1, 1, 4, 4)
    assert numpy.array_equal(session.run({"x": odd})["y"], kept)
    assert numpy.array_equal(ledge.Session(str(seeds / "conv.onnx")).run(feed)["y"], kept)
    assert numpy.allclose(ledge.Session(seeds / "conv.onnx", consistent=True).run(feed)["y"], kept, 1e-5, 1e-6)
    bad = []

    def many():
        for _ in range(50):
            if not numpy.array_equal(session.run(feed)["y"], kept):
                bad.append(1)
    workers = [threading.Thread(target=many) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not bad
    session.close()
    assert numpy.array_equal(first, kept)
    refused("ERR_STATE", "closed", session.run, feed)
    session.close()


def bound(seeds, out):
    """Arrays that stay: read in place, filled in place, apart from other runs, alive beyond the session."""
    session = ledge.Session((seeds / "conv.onnx").read_bytes(), threads=2)
    feed = inputs_of(session)
    want, minus = (session.run({"x": sign * feed["x"]})["y"] for sign in (1, -1))
    loop = session.bind(feed)
    assert loop.inputs["x"] is feed["x"]
    results = loop.run()
    assert results is loop.outputs and numpy.array_equal(results["y"], want)
    feed["x"] *= -1
    assert loop.run()["y"] is results["y"] and numpy.array_equal(results["y"], minus)
    mine = numpy.zeros_like(want)
    other = session.bind(out={"y": mine})
    assert other.inputs["x"].shape == (1, 1, 4, 4) and other.inputs["x"].ctypes.data % 64 == 0
    other.inputs["x"][...] = -feed["x"]
    assert other.run()["y"] is mine and numpy.array_equal(mine, want) and numpy.array_equal(results["y"], minus)
    askew = numpy.zeros(want.size + 17, numpy.float32)
    first = (1 - askew.ctypes.data // 4) % 16  # copied to in each run: no multiple of 64
    third = session.bind(feed, {"y": askew[first:first + want.size].reshape(want.shape)})
    for expected in (minus, want, minus):
        assert numpy.array_equal(third.run()["y"], expected) and numpy.array_equal(loop.run()["y"], expected)
        feed["x"] *= -1
    feed["x"] *= -1
    wide = numpy.zeros((1, 1, 4, 8), numpy.float32)
    assert session.bind([wide[..., ::2]]).inputs["x"].flags.c_contiguous and other.arena_bytes == session.arena_bytes
    for _ in range(20):  # more than the session keeps ready
        session.bind({"x": feed["x"]}).run()
    refused("ERR_ARG", "output y needs", session.bind, feed, {"y": numpy.zeros(7, numpy.float32)})
    refused("ERR_ARG", "no output z", session.bind, feed, {"z": mine})
    refused("ERR_SHAPE", "input x", session.bind, {"x": feed["x"][..., :3]})
    refused("ERR_DTYPE", "float64", session.bind, {"x": feed["x"].astype(float)})
    session.close()
    assert numpy.array_equal(loop.run()["y"], minus)
    loop.reset()
    taken = loop._take()  # as in another thread's run
    for action in (loop.run, loop.reset, loop.close):
        refused("ERR_STATE", "another thread", action)
    loop._idle.append(taken)
    loop.close()
    loop.close()
    refused("ERR_STATE", "closed", loop.run)
    refused("ERR_STATE", "closed", session.bind, feed)
    late = ledge.Session(out / "late.onnx")
    loop = late.bind({"x": numpy.array([0, 3, 0, 5], numpy.float32)})
    assert loop.run()["y"].tolist() == late.run(loop.inputs)["y"].tolist() == [[1, 3]]
    loop.inputs["x"][0] = 1
    assert loop.run()["y"].tolist() == [[0, 1, 3]]
    refused("ERR_ARG", "only a run tells", late.run, loop.inputs, {"y": numpy.zeros((1, 2), numpy.int64)})


def errors(seeds):
    refused("ERR_NOT_FOUND", "/nonexistent.onnx", ledge.Session, "/nonexistent.onnx")
    refused("ERR_FORMAT", "", ledge.Session, b"this is not a model, but it is long enough to look at")
    with ledge.Session(seeds / "conv.onnx") as session:
        x = inputs_of(session)["x"]
        refused("ERR_DTYPE", "input x is float32, given is float64", session.run, {"x": x.astype(numpy.float64)})
        refused("ERR_DTYPE", "given is >f4", session.run, {"x": x.astype(">f4")})
        refused("ERR_SHAPE", "input x", session.run, {"x": x[..., :3]})
        refused("ERR_SHAPE", "input x", session.run, {"x": x[0]})
        refused("ERR_ARG", "input x is missing", session.run, {})
        refused("ERR_ARG", "no input z", session.run, {"x": x, "z": x})
        refused("ERR_ARG", "2 inputs given", session.run, [x, x])
        refused("ERR_ARG", "output y needs", session.run, {"x": x}, out={"y": numpy.zeros(7, numpy.float32)})
        refused("ERR_ARG", "no output z", session.run, {"x": x}, out={"z": x})
        refused("ERR_ARG", "threads", ledge.Session(seeds / "conv.onnx", threads=-1).run, {"x": x})
        session.run({"x": x})


def free_dimensions(model):
    """Shapes come with the arrays; old ones go and come back, and every answer is that of its row alone."""
    session = ledge.Session(model)
    info = session.inputs[0]
    assert info.shape is not None and not isinstance(info.shape[0], int), info
    rows = numpy.random.default_rng(3).random((12, *info.shape[1:]), dtype=numpy.float32)
    alone = [next(iter(session.run({info.name: rows[i:i + 1]}).values())) for i in range(12)]
    for n in [*range(1, 13), 1, 12]:
        together = next(iter(session.run({info.name: rows[:n]}).values()))
        assert together.shape[0] == n and numpy.array_equal(together[0], alone[0][0]), n
        assert numpy.allclose(together, numpy.concatenate(alone[:n]), rtol=1e-5, atol=1e-6)


def nothing_is_left_behind(seeds):
    def resident():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4
    feed = inputs_of(ledge.Session(seeds / "conv.onnx"))
    before = 0
    for i in range(600):
        ledge.Session(seeds / "conv.onnx").run(feed)
        if i == 200:
            gc.collect()
            before = resident()
    assert resident() - before < 512, f"400 sessions took {resident() - before} kB"


def data_models(folder, out):
    """name -> "ok" or the line that refuses it."""
    said = {}
    for path in sorted([*folder.glob("onnx/*.onnx"), *folder.glob("onnx/*/model.onnx"), *folder.glob("tflite/*.tflite")]):
        name = path.parent.name if path.name == "model.onnx" else path.stem
        try:
            session = ledge.Session(path, threads=2)
            feed = inputs_of(session, SHAPES.get(name), SCALES.get(name, 1.0))
            results = session.run(feed)
        except ledge.Error as error:
            assert error.status != "ERR_INTERNAL" and "\n" not in str(error), f"{name}: {error}"
            said[name] = f"{error.status}: {error}"
            continue
        for info in session.outputs:
            assert results[info.name].dtype == info.dtype
        numpy.savez(out / f"{name}{path.suffix}.npz", **{f"in {k}": v for k, v in feed.items()},
                    **{f"out {k}": v for k, v in results.items()})
        said[name] = "ok"
    return said


def main():
    seeds, models, out = map(pathlib.Path, sys.argv[1:4])
    descriptions(seeds)
    arrays(seeds)
    bound(seeds, out)
    errors(seeds)
    free_dimensions(out / "free.onnx")
    nothing_is_left_behind(seeds)
    said = data_models(models, out)
    (out / "said.json").write_text(json.dumps(said))


main()
