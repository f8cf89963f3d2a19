#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every TFLite model beside the engines it was made for, and TFLM's 16-bit operators against their golden answers.

Usage: peers_test.py LEDGE STEPS DATA TESTENV

Seeded random inputs, several steps with what a model keeps from step to step. Float models agree with LiteRT's reference kernels
within 1e-4 of the output's range. Quantised models give the same bytes as LiteRT's reference kernels, except where one of the
tables below says why not; then they give the bytes of TFLite Micro.
"""
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

SEED, STEPS, GOLDEN = 5, 4, 127
# LiteRT 2's reference kernel rounds FULLY_CONNECTED once; TFLite 2.14 and TFLite Micro twice.
ROUNDS_ONCE = {"mlperf_ad01_int8", "mlperf_ic_resnet8_int8", "tflm_hello_world_int8"}
# Operators or parameters that LiteRT does not take; the third one at times ends it with "double free".
MICRO_ONLY = {"tflm_audio_preprocessor_int8", "tflm_person_detect", "tflm_keyword_scrambled_8bit"}
# Weights of 8 bits beside float activations: LiteRT rounds the activations too, Ledge does not. Compared with LiteRT on the
# same model with float weights.
DYNAMIC_RANGE = {"dtln_model_quant_1", "dtln_model_quant_2", "mlperf_kws_float32"}


def golden(ledge, data):
    archive = data / "conformance/tflm-seanet-int16.tar.xz"
    if not archive.exists():
        print(f"skipped: {archive} is not here")
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)
        done = subprocess.run([ledge, "verify", folder], capture_output=True, text=True, check=False)
    print(f"TFLM int16: {done.stdout.strip()}{done.stderr}")
    assert done.returncode == 0 and f"{GOLDEN} cases: {GOLDEN} pass" in done.stdout


def random_inputs(details, numpy, random):
    values = []
    for entry in details:
        shape, dtype = [int(d) for d in entry["shape"]], entry["dtype"]
        if dtype == numpy.float32:
            values.append(random.random(shape, dtype=numpy.float32) * 2 - 1)
        elif dtype == numpy.int32:  # words of a vocabulary
            values.append(random.integers(0, 1000, shape).astype(dtype))
        else:
            span = numpy.iinfo(dtype)
            values.append(random.integers(span.min, span.max + 1, shape).astype(dtype))
    return values


def with_float_weights(path, numpy):
    """The model's bytes with each dynamic-range weight turned into float."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if len(operator.inputs) < 2 or operator.inputs[1] < 0:
                continue
            x, w = graph.tensors[operator.inputs[0]], graph.tensors[operator.inputs[1]]
            if x.type != schema.TensorType.FLOAT32 or w.type != schema.TensorType.INT8:
                continue
            scales = numpy.asarray(w.quantization.scale, numpy.float32)
            shape = [1] * len(w.shape)
            shape[w.quantization.quantizedDimension if len(scales) > 1 else 0] = len(scales)
            values = numpy.frombuffer(bytes(model.buffers[w.buffer].data), numpy.int8).reshape(w.shape)
            real = values.astype(numpy.float32) * scales.reshape(shape)
            model.buffers[w.buffer].data = numpy.frombuffer(real.tobytes(), numpy.uint8)
            w.type, w.quantization = schema.TensorType.FLOAT32, None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class LiteRt:
    def __init__(self, content):
        from ai_edge_litert import interpreter
        self.engine = interpreter.Interpreter(
            model_content=content, num_threads=1,
            experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF)
        self.engine.allocate_tensors()
        self.inputs = self.engine.get_input_details()

    def run(self, values):
        for entry, value in zip(self.inputs, values):
            self.engine.set_tensor(entry["index"], value)
        self.engine.invoke()
        return [self.engine.get_tensor(entry["index"]).copy() for entry in self.engine.get_output_details()]


class Micro:
    def __init__(self, content):
        from tflite_micro.python.tflite_micro import runtime
        self.engine = runtime.Interpreter.from_bytes(content, arena_size=8 << 20)
        self.inputs = [self.engine.get_input_details(0)]

    def run(self, values):
        self.engine.set_input(values[0], 0)
        self.engine.invoke()
        return [self.engine.get_output(0).copy()]


def differ(ours, theirs, numpy):
    """How far apart two outputs are: of floats in the output's range, of integers in units."""
    if theirs.size == 0:
        return 0.0
    gap = numpy.abs(ours.astype(numpy.float64) - theirs.astype(numpy.float64)).max()
    if theirs.dtype != numpy.float32:
        return float(gap)
    return float(gap) / max(float(numpy.ptp(theirs)), float(numpy.abs(theirs).max()), 1e-6)


def compare(steps, path, numpy):
    name, content = path.stem, path.read_bytes()
    micro = name in MICRO_ONLY or name in ROUNDS_ONCE
    if name in DYNAMIC_RANGE:
        content = with_float_weights(path, numpy)
    peer = Micro(content) if micro else LiteRt(content)
    random, fed, wanted = numpy.random.default_rng(SEED), b"", []
    for _ in range(STEPS):
        values = random_inputs(peer.inputs, numpy, random)
        fed += b"".join(value.tobytes() for value in values)
        wanted.append(peer.run(values))
    done = subprocess.run([steps, str(path), str(STEPS)], input=fed, capture_output=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr.decode()}"
    worst, at, exact = 0.0, 0, True
    for outputs in wanted:
        for theirs in outputs:
            ours = numpy.frombuffer(done.stdout[at:at + theirs.nbytes], theirs.dtype).reshape(theirs.shape)
            at += theirs.nbytes
            exact = exact and theirs.dtype != numpy.float32
            worst = max(worst, differ(ours, theirs, numpy))
    assert at == len(done.stdout), f"{name}: {len(done.stdout)} bytes of output, not {at}"
    print(f"{name}: {'TFLite Micro' if micro else 'LiteRT'}, worst {worst:.2g}{' units' if exact else ' of the range'}", flush=True)
    assert worst <= (0 if exact else 1e-4), name


def main():
    ledge, steps = sys.argv[1], sys.argv[2]
    data, env = pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    models = sorted((data / "models/tflite").glob("*.tflite"))
    if not models:
        print(f"skipped: {data}/models/tflite is not here")
        return 77
    python = env / "bin/python"
    if pathlib.Path(sys.prefix).resolve() != env.resolve() and len(sys.argv) == 5:
        golden(ledge, data)
        if not python.exists() or subprocess.run([str(python), "-c", "import ai_edge_litert, tflite_micro"],
                                                 capture_output=True, check=False).returncode != 0:
            print("skipped: build/testenv has no LiteRT (scripts/testenv)")
            return 77
        os.execv(python, [str(python), __file__, *sys.argv[1:]])
    import numpy
    if len(sys.argv) == 6:  # one model, in a process of its own: the peers may crash
        compare(steps, pathlib.Path(sys.argv[5]), numpy)
        return 0
    wrong = [path.stem for path in models
             if subprocess.run([sys.executable, __file__, *sys.argv[1:], str(path)], check=False).returncode != 0]
    print(f"{len(models)} models, {len(wrong)} wrong: {' '.join(wrong)}")
    return 1 if wrong else 0


sys.exit(main())
