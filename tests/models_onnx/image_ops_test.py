#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libledge_image.so: picture codecs as operators, and the model that needs them, beside ONNX Runtime with its extensions.

Usage: image_ops_test.py LEDGE LIBRARY IMAGE_LIBRARY DATA TESTENV

Codecs: what a PNG holds comes out exactly, EncodeImage of it and back again too, JPEG within a few levels; ONNX Runtime reads
what we wrote. Hostile bytes are refused in one line, and the session goes on.
Model: super_resolution_with_pre_post on a drawn picture and on photographs of the shared data, as PNG (JPEG decoders differ by
design): at most 6 of 255 levels apart, at most 5 % of the values apart at all. ONNX Runtime shrinks u8 pictures in fixed point.
"""
import os
import pathlib
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import testenv  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = "models/onnx/super_resolution_with_pre_post_opset18.onnx"
EXTENSIONS = "com.microsoft.extensions"


def png(pixels, size=None):
    """u8 [height, width, 3] as a PNG file, each row with filter 0; size: what the file says of width and height."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    height, width, _ = pixels.shape
    width, height = size or (width, height)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def drawn(numpy, height, width):
    y, x = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(3).integers(0, 40, (height, width, 3))
    waves = numpy.stack([128 + 80 * numpy.sin(x / 9), 128 + 80 * numpy.cos(y / 13), (x + y) % 200], axis=-1)
    return numpy.clip(waves + noise, 0, 255).astype(numpy.uint8)


def model_of(*nodes, rank=3):
    """A model u8 -> u8 of those nodes in a row: (operator, domain, attributes)."""
    from onnx import TensorProto, helper
    names = ["image", *(f"v{i}" for i in range(1, len(nodes))), "out"]
    made = [helper.make_node(op, [names[i]], [names[i + 1]], domain=domain, **attributes)
            for i, (op, domain, attributes) in enumerate(nodes)]
    first = [None] if nodes[0][0] != "EncodeImage" else [None, None, 3]
    graph = helper.make_graph(made, "g", [helper.make_tensor_value_info("image", TensorProto.UINT8, first)],
                              [helper.make_tensor_value_info("out", TensorProto.UINT8, [None] * rank)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(EXTENSIONS, 1)], ir_version=9)
    return model.SerializeToString()


def check_codecs(numpy, ledge, library):
    def opened(*nodes, rank=3):
        return ledge.Session(model_of(*nodes, rank=rank), ops_libraries=[library])
    picture = drawn(numpy, 37, 53)
    file = numpy.frombuffer(png(picture), numpy.uint8)
    decode = opened(("DecodeImage", EXTENSIONS, {}))
    assert numpy.array_equal(decode.run([file])["out"], picture[:, :, ::-1]), "DecodeImage gives blue, green, red"
    rgb = opened(("ImageDecoder", "", {}))
    assert numpy.array_equal(rgb.run([file])["out"], picture)
    grey = opened(("ImageDecoder", "", {"pixel_format": "Grayscale"})).run([file])["out"]
    wanted = picture.astype(float) @ [0.299, 0.587, 0.114]
    assert grey.shape == (37, 53, 1) and numpy.abs(grey[:, :, 0] - wanted).max() < 1
    for encoded, apart in (("png", 0), ("jpg", 40)):
        again = opened(("EncodeImage", EXTENSIONS, {"format": encoded}), ("DecodeImage", EXTENSIONS, {})).run([picture])["out"]
        assert again.shape == picture.shape and numpy.abs(again.astype(int) - picture).max() <= apart, encoded
    return decode, file, picture


def check_refusals(numpy, ledge, library, decode, file, picture):
    cases = {"cut short": file[:200], "noise": numpy.arange(999, dtype=numpy.uint32).view(numpy.uint8), "nothing": file[:0],
             "too wide": numpy.frombuffer(png(picture, (60000, 60000)), numpy.uint8),
             "too many": numpy.frombuffer(png(picture, (16000, 16000)), numpy.uint8),
             "TIFF": numpy.frombuffer(b"II*\0" + bytes(60), numpy.uint8)}
    for name, given in cases.items():
        try:
            decode.run([given])
        except ledge.Error as error:
            assert "DecodeImage" in str(error) and "\n" not in str(error), f"{name}: {error}"
            print(f"{name}: {error}")
        else:
            raise AssertionError(f"{name} was decoded")
    assert decode.run([file])["out"].shape == picture.shape, "the session goes on"
    for path, word in ((str(ROOT / "nothing.so"), "nothing.so"), ("libm.so.6", "ledge_ops_library_1")):
        try:
            ledge.Session(model_of(("ImageDecoder", "", {})), ops_libraries=[path])
        except ledge.Error as error:
            assert word in str(error), error
        else:
            raise AssertionError(f"{path} was taken for an operator library")


def check_program(program, library, model):
    without = subprocess.run([program, "check", model], capture_output=True, text=True, check=False)
    assert without.returncode == 1 and "DecodeImage" in without.stdout, without
    done = subprocess.run([program, "check", model, "--ops-library", library], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and ": runs: " in done.stdout, done
    wrong = subprocess.run([program, "run", model, "--ops-library", model], capture_output=True, text=True, check=False)
    assert wrong.returncode != 0 and wrong.stderr.count("\n") == 1 and "operator library" in wrong.stderr, wrong


def check_model(numpy, ledge, library, model, photographs):
    try:
        import onnxruntime
        import onnxruntime_extensions
    except ImportError:
        onnxruntime = None
    session = ledge.Session(model, ops_libraries=[library])
    decode = ledge.Session(model_of(("DecodeImage", EXTENSIONS, {})), ops_libraries=[library])
    pictures = {"drawn": drawn(numpy, 300, 400)[:, :, ::-1]}
    for path in photographs:
        pictures[path.name] = decode.run([numpy.fromfile(path, numpy.uint8)])["out"]
    for name, bgr in pictures.items():
        file = numpy.frombuffer(png(numpy.ascontiguousarray(bgr[:, :, ::-1])), numpy.uint8)
        made = session.run([file])["image_out"]
        ours = decode.run([made])["out"]
        assert ours.shape == (672, 672, 3), ours.shape
        if onnxruntime is None:
            print(f"{name}: runs; not compared: no onnxruntime_extensions")
            continue
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
        theirs = onnxruntime.InferenceSession(model.read_bytes(), options).run(None, {"image": file})[0]
        reader = onnxruntime.InferenceSession(model_of(("DecodeImage", EXTENSIONS, {})), options)
        assert numpy.array_equal(reader.run(None, {"image": made})[0], ours), "ONNX Runtime reads our PNG as we do"
        apart = numpy.abs(ours.astype(int) - decode.run([theirs])["out"])
        share = float((apart > 0).mean())
        print(f"{name}: at most {apart.max()} of 255 levels apart, {100 * share:.2f} % of the values")
        assert apart.max() <= 6 and share <= 0.05, name


def main():
    program, built, library = sys.argv[1:4]
    data, env = pathlib.Path(sys.argv[4]), sys.argv[5]
    testenv.enter(env)
    os.environ["LEDGE_LIBRARY"] = built
    sys.path.insert(0, str(ROOT / "sdk/python"))
    import ledge
    import numpy
    decode, file, picture = check_codecs(numpy, ledge, library)
    check_refusals(numpy, ledge, library, decode, file, picture)
    model = data / MODEL
    if model.exists():
        check_program(program, library, str(model))
        check_model(numpy, ledge, library, model, sorted((data / "media/photos").glob("*.jpg"))[:4])
    else:
        print(f"skipped: {model} is not here")
    return 0


sys.exit(main())
