#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speech or none, over a minute of speech: Silero's detector with its state carried from frame to frame, beside ONNX Runtime.

Usage: speech_test.py LIBRARY DATA TESTENV

Every frame's probability and the state after it agree within 1e-4, so that an error would pile up over 1,800 frames if there
were one; and the detector is sure of speech in most frames of a recording of speech, of none in added silence.
"""
import os
import pathlib
import sys
import wave

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import testenv  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAME, BEFORE, RATE = 512, 64, 16000  # new samples of a frame, samples kept of the frame before, samples a second
SILENCE = 2 * RATE


def samples(numpy, path):
    """The recording as numbers from -1 to 1, two seconds of silence behind."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE), path
        raw = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
    return numpy.concatenate([raw.astype(numpy.float32) / 32768, numpy.zeros(SILENCE, numpy.float32)])


def listen(numpy, sound, ours, theirs):
    """The probabilities of all frames; raises where the two engines differ."""
    mine = other = numpy.zeros((2, 1, 128), numpy.float32)
    rate, found = numpy.array(RATE, numpy.int64), []
    before = numpy.zeros(BEFORE, numpy.float32)
    names = [entry.name for entry in theirs.get_outputs()]
    worst = 0.0
    for start in range(0, len(sound) - FRAME + 1, FRAME):
        frame = numpy.concatenate([before, sound[start:start + FRAME]])[None]
        before = frame[0, -BEFORE:]
        got = ours.run({"input": frame, "state": mine, "sr": rate})
        p, other = theirs.run(None, {"input": frame, "state": other, "sr": rate})
        mine = got[names[1]].copy()
        worst = max(worst, abs(float(got[names[0]].item()) - float(p.item())), float(numpy.abs(mine - other).max()))
        assert worst <= 1e-4, f"frame {len(found)}: off by {worst:.2e}"
        found.append(float(p.item()))
    return numpy.array(found), worst


def main():
    library, data, env = map(pathlib.Path, sys.argv[1:])
    sound = data / "models/onnx/samples/silero_test.wav"
    if not sound.exists():
        print(f"skipped: {sound} is not here")
        return 77
    testenv.enter(env)
    os.environ["LEDGE_LIBRARY"] = str(library)
    import numpy
    import onnxruntime
    sys.path.insert(0, str(ROOT / "sdk/python"))
    import ledge
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    for name in ("silero_vad", "silero_vad_16k_op15"):
        path = str(data / f"models/onnx/{name}.onnx")
        theirs = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found, worst = listen(numpy, samples(numpy, sound), ledge.Session(path), theirs)
        speech, silence = found[:-SILENCE // FRAME], found[-RATE // FRAME:]
        print(f"{name}: {len(found)} frames, {100 * (speech > 0.5).mean():.0f}% speech; worst difference {worst:.1e}")
        assert (speech > 0.5).mean() > 0.5, "a recording of speech, and most of it is taken for none"
        assert silence.max() < 0.1, "silence is taken for speech"
    return 0


sys.exit(main())
