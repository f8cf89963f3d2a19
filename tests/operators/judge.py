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
                tensor = value if isinstance(value, onnx.TensorProto) else onnx.numpy_helper.from_array(value)
                (case / "test_data_set_0" / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())
        limits = {key: value for key, value in (("rtol", rtol), ("atol", atol)) if value is not None}
        if limits:
            (case / "data.json").write_text(json.dumps(limits))

    def verify(self, *options):
        """{name: (verdict, why)}"""
        done = subprocess.run([self.ledge, "verify", self.folder.name, "--json", *options], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            sys.exit(f"ledge verify ended with {done.returncode}: {done.stderr[-3000:]}")
        found = {pathlib.Path(r["path"]).name: (r["verdict"], r.get("why", "")) for r in json.loads(done.stdout)["results"]}
        assert sorted(found) == sorted(self.names), set(self.names) ^ set(found)
        return found


def runtime(model, inputs):
    """What ONNX Runtime says: a list of arrays."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {entry.name: value for entry, value in zip(session.get_inputs(), inputs)})
