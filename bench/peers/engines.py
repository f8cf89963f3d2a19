# SPDX-License-Identifier: Apache-2.0
"""One class an engine, all with the same four verbs: open, bind, run, answers. Each lives in its own process (worker.py).

Every engine is told: so many threads, f32 arithmetic for f32 models, no spinning between runs where it can be told.
Inputs are put where the engine reads them once, in bind(); run() is what the clock sees: one inference, nothing copied that the
engine's own interface does not copy.
"""
import os
import pathlib
import sys

import numpy as np


class Unavailable(Exception):
    """Why an engine does not take part in a row."""


class Engine:
    def __init__(self, base, kind, threads):
        self.base, self.kind, self.threads = base, kind, threads
        self.path = f"{base}.{kind}.onnx"

    def sizes(self):
        """Bytes of the files that an application ships."""
        return sum(os.path.getsize(f) for f in self.libraries())

    def arena(self):
        return None


def site(package, pattern):
    import importlib.util
    folder = pathlib.Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
    return [str(p) for p in folder.glob(pattern)]


# -- Ledge, through its own Python package: bind() is to it what io binding is to ONNX Runtime


class Ledge(Engine):
    library = None  # path of libledge.so, set by the worker

    def __init__(self, *arguments):
        super().__init__(*arguments)
        os.environ["LEDGE_LIBRARY"] = self.library
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk/python"))
        import ledge
        self.ledge = ledge

    def version(self):
        return self.ledge.version()

    def libraries(self):
        return [self.library]

    def open(self):
        try:
            self.bound = self.ledge.Session(self.path, threads=self.threads).bind()
        except self.ledge.Error as why:
            raise Unavailable(str(why)) from None

    def bind(self, x):
        self.bound.inputs["x"][...] = x

    def run(self):
        self.bound.run()

    def answers(self):
        return [y.copy() for y in self.bound.outputs.values()]

    def arena(self):
        return self.bound.arena_bytes


# -- the peers, through their own Python packages


class OnnxRuntime(Engine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        import onnxruntime
        self.ort = onnxruntime

    def version(self):
        return self.ort.__version__

    def libraries(self):
        return site("onnxruntime", "capi/libonnxruntime.so.*")

    def open(self):
        options = self.ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        self.session = self.ort.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])

    def bind(self, x):
        self.io = self.session.io_binding()
        self.io.bind_ortvalue_input("x", self.ort.OrtValue.ortvalue_from_numpy(x))
        for output in self.session.get_outputs():
            self.io.bind_ortvalue_output(output.name, self.ort.OrtValue.ortvalue_from_numpy(np.zeros(output.shape, np.float32)))
        self.options = self.ort.RunOptions()

    def run(self):
        self.session.run_with_iobinding(self.io, self.options)

    def answers(self):
        return [value.numpy() for value in self.io.get_outputs()]


class LiteRT(Engine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        from ai_edge_litert import interpreter
        self.package = interpreter

    def version(self):
        import importlib.metadata
        return importlib.metadata.version("ai-edge-litert")

    def libraries(self):
        return site("ai_edge_litert", "libpywrap_litert_common.so") + site("ai_edge_litert", "_pywrap_litert_interpreter_wrapper.so")

    def open(self):
        self.interpreter = self.package.Interpreter(f"{self.base}.{self.kind}.tflite", num_threads=self.threads)
        self.interpreter.allocate_tensors()

    def bind(self, x):
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], np.ascontiguousarray(x))

    def run(self):
        self.interpreter.invoke()

    def answers(self):
        found = [self.interpreter.get_tensor(d["index"]) for d in self.interpreter.get_output_details()]
        return [y.transpose(0, 3, 1, 2) if y.ndim == 4 else y for y in found]


class OpenVino(Engine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        import openvino
        self.ov = openvino

    def version(self):
        return self.ov.__version__.split("-")[0]

    def libraries(self):
        return [f for name in ("libopenvino.so.*", "libopenvino_intel_cpu_plugin.so", "libopenvino_onnx_frontend.so.*", "libtbb.so.*")
                for f in site("openvino", f"libs/{name}")]

    def open(self):
        core = self.ov.Core()
        hints = {"INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
                 "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        self.compiled = core.compile_model(core.read_model(self.path), "CPU", hints)
        self.request = self.compiled.create_infer_request()

    def bind(self, x):
        self.kept = x
        self.request.set_input_tensor(0, self.ov.Tensor(self.kept, shared_memory=True))

    def run(self):
        self.request.start_async()
        self.request.wait()

    def answers(self):
        return [self.request.get_output_tensor(i).data.copy() for i in range(len(self.compiled.outputs))]


class Ncnn(Engine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        import ncnn
        self.ncnn = ncnn

    def version(self):
        return self.ncnn.__version__

    def libraries(self):
        return site("ncnn", "ncnn*.so")

    def open(self):
        self.net = self.ncnn.Net()
        self.net.opt.num_threads = self.threads
        self.net.opt.use_fp16_storage = False  # else the weights of inner products are halves
        base = f"{self.base}.{self.kind}"
        if self.net.load_param(base + ".param") != 0 or self.net.load_model(base + ".bin") != 0:
            raise Unavailable("cannot load the param and bin files")

    def bind(self, x):
        self.x = x
        self.input = self.ncnn.Mat(np.ascontiguousarray(x[0])).clone()
        self.names = self.net.output_names()

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input("x", self.input)
        self.outputs = []
        for name in self.names:
            status, out = extractor.extract(name)
            if status != 0:
                raise Unavailable(f"extract {name} gives {status}")
            self.outputs.append(out)

    def answers(self):
        return [np.array(out)[None] for out in self.outputs]


class Mnn(Engine):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        import MNN
        self.mnn = MNN

    def version(self):
        import importlib.metadata
        return importlib.metadata.version("MNN")

    def libraries(self):
        import _mnncengine
        return [_mnncengine.__file__]

    def open(self):
        path = f"{self.base}.{self.kind}.mnn"
        if not os.path.exists(path):
            raise Unavailable("its converter aborts on the QDQ file" if self.kind == "i8" else "its converter refuses the ONNX file")
        self.interpreter = self.mnn.Interpreter(path)
        self.session = self.interpreter.createSession({"numThread": self.threads, "backend": "CPU", "precision": "high"})

    def bind(self, x):
        self.input, self.kept = self.interpreter.getSessionInput(self.session), x
        self.host = self.mnn.Tensor(x.shape, self.mnn.Halide_Type_Float, x, self.mnn.Tensor_DimensionType_Caffe)

    def run(self):
        self.input.copyFrom(self.host)  # its memory plan may use the input's place for a later layer
        self.interpreter.runSession(self.session)

    def answers(self):
        found = []
        for name, tensor in sorted(self.interpreter.getSessionOutputAll(self.session).items()):
            host = self.mnn.Tensor(tensor.getShape(), self.mnn.Halide_Type_Float, np.zeros(tensor.getShape(), np.float32),
                                   self.mnn.Tensor_DimensionType_Caffe)
            tensor.copyToHostTensor(host)
            found.append(np.array(host.getNumpyData(), np.float32).reshape(tensor.getShape()))
        return found


ENGINES = {"ledge": Ledge, "onnxruntime": OnnxRuntime, "litert": LiteRT, "openvino": OpenVino, "ncnn": Ncnn, "mnn": Mnn}
