#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package tritonclient[http], unchanged, against ledge-serve: metadata, infer JSON, infer binary, control.

Usage: PYTHON_OF_TESTENV triton_test.py LEDGE_SERVE
"""
import sys

try:
    import numpy as np
    import tritonclient
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException
except ImportError as problem:
    print(f"skipped: {problem} (scripts/testenv makes build/testenv)")
    sys.exit(77)

from serving import Server, clean
from tiny_onnx import conv_of


def expect_error(word, call, *more, **named):
    try:
        call(*more, **named)
    except InferenceServerException as problem:
        assert word in str(problem), problem
        return
    raise AssertionError(f"no error that says {word}")


def main():
    with Server(sys.argv[1]) as server:
        model = server.root / "m.onnx"
        model.write_bytes(conv_of(2, 20, metadata={"ledge.labels": "red\ngreen\nblue"}))
        assert server.load("m", model, 3)[0] == 200
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("m")
        assert client.is_model_ready("m", "3") and not client.is_model_ready("other")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        about = client.get_model_metadata("m")
        assert about["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3, 3, 3]}

        x = np.arange(4 * 27, dtype=np.float32).reshape(4, 3, 3, 3)
        want = 2 * x.sum(axis=1, keepdims=True) + 20 + np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1)
        for binary_in in (True, False):
            tensor = triton.InferInput("x", list(x.shape), "FP32")
            tensor.set_data_from_numpy(x, binary_data=binary_in)
            for asked in (None, [triton.InferRequestedOutput("y", binary_data=True)], [triton.InferRequestedOutput("y", binary_data=False)]):
                answer = client.infer("m", [tensor], outputs=asked, request_id="r9")
                got = answer.as_numpy("y")
                assert got.dtype == np.float32 and np.array_equal(got, want), (binary_in, asked)
                about = answer.get_response()
                assert about["id"] == "r9" and about["model_version"] == "3" and about["model_name"] == "m"
            for binary_out in (True, False):
                ranked = client.infer("m", [tensor], outputs=[triton.InferRequestedOutput("y", binary_data=binary_out, class_count=2)])
                best = ranked.as_numpy("y")
                assert best.shape == (4, 2), best.shape
                index = int(np.argmax(want[0]))
                first = best[0, 0].decode() if isinstance(best[0, 0], bytes) else best[0, 0]
                assert first.startswith(f"{want[0].flat[index]:f}:{index}"), first
        answer = client.infer("m", [tensor], model_version="3")
        assert np.array_equal(answer.as_numpy("y"), want)
        body, length = triton.InferenceServerClient.generate_request_body([tensor])
        assert body and (length is None or length > 0)

        wrong = triton.InferInput("x", [4, 3, 3, 3], "INT32")
        wrong.set_data_from_numpy(x.astype(np.int32))
        expect_error("FP32", client.infer, "m", [wrong])
        expect_error("not loaded", client.infer, "other", [tensor])
        expect_error("version", client.infer, "m", [tensor], model_version="4")
        expect_error("no such output", client.infer, "m", [tensor], outputs=[triton.InferRequestedOutput("z")])
        expect_error("unix socket", client.unload_model, "m")
        stats = client.get_inference_statistics("m")["model_stats"][0]
        assert stats["version"] == "3" and stats["inference_stats"]["success"]["count"] == 11, stats
        client.close()
    clean(server)
    print(f"tritonclient {tritonclient.__version__ if hasattr(tritonclient, '__version__') else ''}: metadata, JSON, binary, classification: ok")


if __name__ == "__main__":
    main()
