#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every operator of ai.onnx with every type that its schema allows, beside ONNX Runtime or ONNX's own evaluator.

Usage: types_test.py LEDGE TESTENV

The cases are those of the onnx package's own node tests, with the type of one type variable changed. What is refused, what of f64 is
computed with f32's precision, and where the judge is no judge stands in the lists here, each entry by operator and type variable: a pair
that is lost, or won, makes the test fail.
"""
import collections
import sys
import warnings

import judge

F8 = "float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz"
SIGNED, UNSIGNED = "int8 int16 int32 int64", "uint8 uint16 uint32 uint64"
WHOLE = f"{SIGNED} {UNSIGNED}"
REFUSED = {
    "Attention U": WHOLE, "BitShift T": SIGNED, "Col2Im T": f"{WHOLE} bool string", "GridSample T1": f"{WHOLE} bool string",
    "Erf T": WHOLE, "IsInf T1": F8, "IsNaN T1": F8, "QLinearMatMul T1": F8, "QLinearMatMul T2": F8, "QLinearMatMul T3": F8,
    "Resize T1": "string", "Shrink T": UNSIGNED, "TfIdfVectorizer T": "string", "Unique T": "string"}
# f64 in f32's precision: docs/numerics.md.
NARROW = ("Adagrad T3", "Adam T3", "AffineGrid T1", "Attention T1", "Attention T2", "Attention U", "BatchNormalization T", "BatchNormalization T1",
          "BatchNormalization T2", "DeformConv T", "GRU T", "Gelu T", "GridSample T1", "GridSample T2", "GroupNormalization T", "HardSwish T",
          "InstanceNormalization T", "LRN T", "LSTM T", "LayerNormalization T", "Momentum T3", "RNN T", "Resize T2", "RoiAlign T1", "STFT T1",
          "SoftmaxCrossEntropyLoss T")
# The case does not fit the type (bodies of fixed types, widths of BitCast, scales and zero points of two types), or the judge does not
# follow its own schema (types of outputs; NaN as a whole number; f32 transforms of many terms; only the first string of a gathered row).
NO_CASE = {"BitCast", "Cast", "CastLike", "ImageDecoder", "Loop", "Scan", "QuantizeLinear", "DequantizeLinear", "RMSNormalization", "LinearAttention",
           "SwiGLU", "FlexAttention"}
NO_JUDGE = {"Adam T1": "double", "AffineGrid T1": "bfloat16", "Det T": "bfloat16", "LayerNormalization T": "bfloat16", "Momentum T1": "double",
            "ReduceSumSquare T": "uint32", "DFT T1": "float double", "STFT T1": "float", "STFT T2": "int32 int64",
            "Erf T": "double", "Gather T": "string", "QLinearMatMul T3": "int8", "ReduceLogSum T": "int32"}
LIMITS = {"double": (1e-11, 1e-13), "float16": (4e-3, 4e-3), "bfloat16": (3e-2, 3e-2)}


def numpy_type(kind, numpy, ml_dtypes):
    names = {"float": "float32", "double": "float64", "bool": "bool_", "float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz",
             "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz", "float4e2m1": "float4_e2m1fn", "float8e8m0": "float8_e8m0fnu"}
    name = names.get(kind, kind)
    return getattr(numpy, name, None) or getattr(ml_dtypes, name, None)


def changed(array, kind, numpy, ml_dtypes):
    """The numbers of array that the type has, or nearly; None where that makes no sense."""
    if kind == "string":
        return numpy.array([str(v) for v in array.reshape(-1).tolist()], dtype=object).reshape(array.shape)
    wanted = numpy_type(kind, numpy, ml_dtypes)
    if array.dtype == object or wanted is None:
        return None
    values = array if array.dtype.kind in "fiub" else array.astype(numpy.float64)
    if kind == "bool":
        return values > 0
    bits = int(kind.split("int")[1]) if "int" in kind else 64
    if kind.startswith("uint"):
        values = numpy.abs(values.astype(numpy.float64) if values.dtype.kind == "f" else values.astype(numpy.int64))
    if bits <= 16:
        values = numpy.clip(values.astype(numpy.float64), 0 if kind[0] == "u" else -(1 << bits - 1), (1 << bits - 1) - 1)
    return values.astype(numpy.float64).astype(numpy.float32).astype(wanted) if kind.startswith(("bf", "float4", "float8")) else values.astype(wanted)


def variables(node, schema):
    """{type variable: names of the inputs that have it}"""
    bound = collections.defaultdict(set)
    for i, name in enumerate(node.input):
        if name:
            bound[schema.inputs[min(i, len(schema.inputs) - 1)].type_str].add(name)
    return bound


def retyped(case, schema, variable, names, kind, modules):
    """(model, inputs) with the variable's type changed, or None."""
    onnx, numpy, ml_dtypes = modules
    number = getattr(onnx.TensorProto, {"float8e4m3fn": "FLOAT8E4M3FN"}.get(kind, kind.upper()), None)
    model, arrays = onnx.ModelProto(), []
    model.CopyFrom(case.model)
    for value, data in zip(model.graph.input, case.data_sets[0][0]):
        data = onnx.numpy_helper.to_array(data) if isinstance(data, onnx.TensorProto) else data
        if number is None or isinstance(data, (list, dict)) or data is None:
            return None
        data = numpy.asarray(data)
        if value.name in names:
            data = changed(data, kind, numpy, ml_dtypes)
            value.type.tensor_type.elem_type = number
        if data is None:
            return None
        arrays.append(data)
    for i, value in enumerate(model.graph.output):
        if schema.outputs[min(i, len(schema.outputs) - 1)].type_str == variable and value.type.WhichOneof("value") == "tensor_type":
            value.type.tensor_type.elem_type = number
    return model, arrays


def answers(model, arrays, numpy):
    """What a judge says; None where no judge takes it."""
    from onnx.reference import ReferenceEvaluator
    feed = {value.name: array for value, array in zip(model.graph.input, arrays)}
    for ask in (lambda: judge.runtime(model, arrays), lambda: ReferenceEvaluator(model).run(None, feed)):
        try:
            with numpy.errstate(all="ignore"):
                said = ask()
            if any(isinstance(v, list) for v in said):
                return None
            said = [numpy.asarray(v) for v in said]
            return [judge.tensor(v.astype(object) if v.dtype.kind == "U" else v) for v in said]
        except Exception:  # a judge refuses in many ways
            continue
    return None


def walk(cases, modules):
    """Add a case for each operator, type variable and type: {name of case: (entry, kind, judged)}"""
    onnx, numpy, _ = modules
    from onnx.backend.test.case.node import collect_testcases
    schemas = {s.name: s for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated}
    known, tries = {}, collections.Counter()
    done = set()
    for case in collect_testcases(None):
        nodes = case.model.graph.node if case.model is not None else []
        if len(nodes) != 1 or nodes[0].domain != "" or nodes[0].op_type not in schemas or nodes[0].op_type in NO_CASE or not case.data_sets:
            continue
        schema = schemas[nodes[0].op_type]
        allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        for variable, names in variables(nodes[0], schema).items():
            for text in allowed.get(variable, []):
                entry, kind = f"{schema.name} {variable}", text[7:-1]
                if not text.startswith("tensor(") or "complex" in text or (entry, kind) in done or tries[entry, kind] == 3:
                    continue
                made = retyped(case, schema, variable, names, kind, modules)
                if made is None:
                    continue
                tries[entry, kind] += 1
                said = answers(*made, numpy)
                if said is not None:
                    done.add((entry, kind))
                name = f"{schema.name}-{variable}-{kind}-{tries[entry, kind]}"
                cases.add(name, *made, said if said is not None else [numpy.zeros(1, numpy.float32)], *LIMITS.get(kind, (1e-4, 1e-5)))
                known[name] = (entry, kind, said is not None)
    return known


def main():
    ledge, testenv = sys.argv[1:]
    judge.need(testenv)
    warnings.filterwarnings("ignore")
    import ml_dtypes
    import numpy
    import onnx
    import onnx.defs
    with judge.Cases(ledge) as cases:
        known = walk(cases, (onnx, numpy, ml_dtypes))
        found = cases.verify()
    faults, count = [], collections.Counter()
    for name, (entry, kind, judged) in known.items():
        verdict, why = found[name]
        refused = kind in REFUSED.get(entry, "").split()
        if not judged:
            verdict = "unsupported" if verdict == "unsupported" else "unjudged"
        elif kind in NO_JUDGE.get(entry, "").split() and verdict == "wrong":
            verdict = "unjudged"
        elif kind == "double" and entry in NARROW and verdict == "wrong":
            verdict = "narrow"
        elif kind == "double" and entry in NARROW and verdict == "pass":
            faults.append(f"{name}: exact now: take it off the list")
        count[verdict] += 1
        if verdict in ("wrong", "broken") or refused != (verdict == "unsupported"):
            faults.append(f"{name}: {verdict}: {why}{' (listed as refused)' if refused else ''}")
    for fault in sorted(faults):
        print(fault)
    print(f"onnx {onnx.__version__}, opset {onnx.defs.onnx_opset_version()}: {len(known)} cases:", ", ".join(f"{n} {v}" for v, n in sorted(count.items())))
    return 1 if faults or count["pass"] < 1000 else 0


sys.exit(main())
