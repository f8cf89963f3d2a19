# SPDX-License-Identifier: Apache-2.0
"""Small models with the answers of a judge (ONNX Runtime, or ONNX's own evaluator), for one run of `ledge verify`.

The judges come from build/testenv: a test that is started by another interpreter starts itself again with that one.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77


def need(testenv):
    """Go on with the interpreter of testenv, or end as skipped."""
    python = pathlib.Path(testenv) / "bin/python"
    if not python.exists():
        print(f"skipped: no {testenv}, made by scripts/testenv")
        sys.exit(SKIP)
    if os.environ.get("LEDGE_JUDGE") != "1":
        os.environ["LEDGE_JUDGE"] = "1"
        os.execv(python, [str(python), *sys.argv])


def tensor(value):
    """A TensorProto of an array, also of the types of ml_dtypes, which not every version of onnx takes."""
    import numpy
    import onnx
    names = {"bfloat16": "BFLOAT16", "float8_e4m3fn": "FLOAT8E4M3FN", "float8_e4m3fnuz": "FLOAT8E4M3FNUZ", "float8_e5m2": "FLOAT8E5M2",
             "float8_e5m2fnuz": "FLOAT8E5M2FNUZ", "int4": "INT4", "uint4": "UINT4", "float4_e2m1fn": "FLOAT4E2M1", "float8_e8m0fnu": "FLOAT8E8M0"}
    value = numpy.asarray(value)
    if value.dtype.name not in names:
        return onnx.numpy_helper.from_array(value)
    data = value.reshape(-1).view(numpy.uint16 if value.dtype.itemsize == 2 else numpy.uint8)
    if value.dtype.name in ("int4", "uint4", "float4_e2m1fn"):
        data = numpy.append(data, numpy.zeros(data.size % 2, numpy.uint8)) & 15
        data = data[0::2] | data[1::2] << 4
    return onnx.TensorProto(dims=value.shape, data_type=getattr(onnx.TensorProto, names[value.dtype.name]), raw_data=data.tobytes())


class Cases:
    """A folder of cases; use as a context."""

    def __init__(self, ledge):
        self.ledge, self.names = ledge, []

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def add(self, name, model, inputs, outputs, rtol=None, atol=None):
        """inputs and outputs: arrays, or a TensorProto where numpy has no such type."""
        import onnx
        assert name not in self.names, name
        self.names.append(name)
        case = pathlib.Path(self.folder.name) / name
        (case / "test_data_set_0").mkdir(parents=True)
        (case / "model.onnx").write_bytes(model.SerializeToString())
        for kind, list_ in (("input", inputs), ("output", outputs)):
            for i, value in enumerate(list_):
                proto = value if isinstance(value, onnx.TensorProto) else tensor(value)
                (case / "test_data_set_0" / f"{kind}_{i}.pb").write_bytes(proto.SerializeToString())
        limits = {key: value for key, value in (("rtol", rtol), ("atol", atol)) if value is not None}
        if limits:
            (case / "data.json").write_text(json.dumps(limits))

    def verify(self, *options):
        """{name: (verdict, why)}"""
        done = subprocess.run([self.ledge, "verify", self.folder.name, "--json", *options], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or "runtime error" in done.stderr:
            sys.exit(f"ledge verify ended with {done.returncode}: {done.stderr[-3000:]}")
        found = {pathlib.Path(r["path"]).name: (r["verdict"], r.get("why", "")) for r in json.loads(done.stdout)["results"]}
        assert sorted(found) == sorted(self.names), set(self.names) ^ set(found)
        return found


def runtime(model, inputs):
    """What ONNX Runtime says: a list of arrays."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {entry.name: value for entry, value in zip(session.get_inputs(), inputs)})
