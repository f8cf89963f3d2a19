#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Open a model, say what goes in and out, run it once on ones.

    predict.py MODEL        MODEL: .onnx, .tflite or .ledge
"""
import sys

import numpy

import ledge


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        session = ledge.Session(sys.argv[1])
        inputs = {}
        for info in session.inputs:
            shape = [dim if isinstance(dim, int) else 1 for dim in info.shape or []]
            inputs[info.name] = numpy.ones(shape, info.dtype)
            print("input", info.name, info.dtype, shape)
        for name, array in session.run(inputs).items():
            print("output", name, array.dtype, list(array.shape), *array.flat[:4])
    except ledge.Error as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
