#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ai.onnx.ml beside ONNX Runtime: support vector machines in all their forms.

Usage: ml_test.py LEDGE TESTENV
"""
import sys

import judge


def svc(numpy, onnx, random, classes, kernel, post, proba, texts, linear, positive):
    """A model of random support vectors, and its rows."""
    from onnx import helper
    columns, pairs = 4, classes * (classes - 1) // 2
    per_class = [] if linear else [int(random.integers(1, 4)) for _ in range(classes)]
    vectors = sum(per_class)
    coefficients = random.uniform(0 if positive else -1, 1, classes * columns if linear else (classes - 1) * vectors)
    attributes = {
        "kernel_type": kernel, "post_transform": post, "coefficients": coefficients.tolist(),
        "rho": random.uniform(-0.3, 0.3, 1 if linear else pairs).tolist(), "kernel_params": [0.3, 0.2, 2.0]}
    if not linear:
        attributes |= {"vectors_per_class": per_class, "support_vectors": random.uniform(-1, 1, vectors * columns).tolist()}
    if proba:
        attributes |= {"prob_a": random.uniform(-2, -1, pairs).tolist(), "prob_b": random.uniform(-0.2, 0.2, pairs).tolist()}
    attributes |= {"classlabels_strings": [f"c{i}" for i in range(classes)]} if texts else {"classlabels_ints": [7 * i - 3 for i in range(classes)]}
    node = helper.make_node("SVMClassifier", ["x"], ["y", "z"], domain="ai.onnx.ml", **attributes)
    label = onnx.TensorProto.STRING if texts else onnx.TensorProto.INT64
    graph = helper.make_graph([node], "svc", [helper.make_tensor_value_info("x", 1, [None, columns])],
                              [helper.make_tensor_value_info("y", label, None), helper.make_tensor_value_info("z", 1, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)], ir_version=8)
    return model, random.uniform(-2, 2, (9, columns)).astype(numpy.float32)


def main():
    ledge, testenv = sys.argv[1:]
    judge.need(testenv)
    import numpy
    import onnx
    random = numpy.random.default_rng(3)
    with judge.Cases(ledge) as cases:
        for classes in (2, 3, 5):
            for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
                for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
                    for form in ("plain", "proba", "liblinear", "positive", "liblinear-positive"):
                        model, x = svc(numpy, onnx, random, classes, kernel, post, form == "proba", classes == 3,
                                       form.startswith("liblinear"), form.endswith("positive"))
                        cases.add(f"{classes}-{kernel}-{post}-{form}", model, [x], judge.runtime(model, [x]), atol=1e-5)
        found = cases.verify()
    wrong = {name: why for name, why in found.items() if why[0] != "pass"}
    for name, why in wrong.items():
        print(f"{name}: {': '.join(why)}")
    print(f"{len(found) - len(wrong)} of {len(found)} as ONNX Runtime")
    return 1 if wrong else 0


sys.exit(main())
