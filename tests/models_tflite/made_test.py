#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small TFLite models made here, beside LiteRT: control flow (IF, WHILE, one in the other, a shape that grows), the LSTM
with peepholes, projection and coupled gates, and operators that no model of the shared data has.

Usage: made_test.py LIBRARY TESTENV
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import testenv  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Builder:
    """A model of several subgraphs; tensors are numbers within the subgraph last begun."""

    def __init__(self, schema, numpy):
        self.schema, self.numpy = schema, numpy
        self.model = schema.ModelT()
        self.model.version, self.model.buffers, self.model.operatorCodes, self.model.subgraphs = 3, [schema.BufferT()], [], []

    def begin(self):
        graph = self.schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        self.model.subgraphs.append(graph)

    def tensor(self, kind, shape, data=None):
        types = {"f": self.schema.TensorType.FLOAT32, "i": self.schema.TensorType.INT32, "b": self.schema.TensorType.BOOL,
                 "l": self.schema.TensorType.INT64}
        made = self.schema.TensorT()
        graph = self.model.subgraphs[-1]
        made.name, made.type, made.shape = f"t{len(self.model.subgraphs)}_{len(graph.tensors)}".encode(), types[kind], list(shape)
        if data is not None:
            dtype = {"f": self.numpy.float32, "i": self.numpy.int32, "b": bool}[kind]
            buffer = self.schema.BufferT()
            buffer.data = list(self.numpy.asarray(data, dtype).tobytes())
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def add(self, name, inputs, outputs, options=None):
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.version = getattr(self.schema.BuiltinOperator, name), 2 if name == "BROADCAST_TO" else 1
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        made = self.schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__[:-1])
        self.model.subgraphs[-1].operators.append(made)

    def end(self, inputs, outputs):
        self.model.subgraphs[-1].inputs, self.model.subgraphs[-1].outputs = inputs, outputs

    def bytes(self):
        import flatbuffers
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def options(self, name, **values):
        made = getattr(self.schema, f"{name}T")()
        for key, value in values.items():
            setattr(made, key, value)
        return made


def arithmetic(b, name, a, c, out):
    b.add(name, [a, c], [out], b.options(f"{name.title()}Options"))


def choice(b):
    """y = flag ? x * 3 + x : x - 1"""
    b.begin()
    flag, x, y = b.tensor("b", []), b.tensor("f", [2, 3]), b.tensor("f", [2, 3])
    b.add("IF", [flag, x], [y], b.options("IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2))
    b.end([flag, x], [y])
    b.begin()
    x, three, middle, y = b.tensor("f", [2, 3]), b.tensor("f", [], [3]), b.tensor("f", [2, 3]), b.tensor("f", [2, 3])
    arithmetic(b, "MUL", x, three, middle)
    arithmetic(b, "ADD", middle, x, y)
    b.end([x], [y])
    b.begin()
    x, one, y = b.tensor("f", [2, 3]), b.tensor("f", [], [1]), b.tensor("f", [2, 3])
    arithmetic(b, "SUB", x, one, y)
    b.end([x], [y])


def counting(b, conditional):
    """i, x, n -> until i = n: x = x * 1.5 + i (as float); conditional: halved instead where i is 2"""
    b.begin()
    i, x, n = b.tensor("i", []), b.tensor("f", [2, 2]), b.tensor("i", [])
    i2, x2, n2 = b.tensor("i", []), b.tensor("f", [2, 2]), b.tensor("i", [])
    b.add("WHILE", [i, x, n], [i2, x2, n2], b.options("WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2))
    b.end([i, x, n], [i2, x2, n2])
    b.begin()
    i, x, n, less = b.tensor("i", []), b.tensor("f", [2, 2]), b.tensor("i", []), b.tensor("b", [])
    b.add("LESS", [i, n], [less], b.options("LessOptions"))
    b.end([i, x, n], [less])
    b.begin()
    i, x, n = b.tensor("i", []), b.tensor("f", [2, 2]), b.tensor("i", [])
    one, factor, next_i = b.tensor("i", [], [1]), b.tensor("f", [], [1.5]), b.tensor("i", [])
    real, scaled, next_x = b.tensor("f", []), b.tensor("f", [2, 2]), b.tensor("f", [2, 2])
    arithmetic(b, "ADD", i, one, next_i)
    b.add("CAST", [i], [real], b.options("CastOptions", inDataType=b.schema.TensorType.INT32,
                                         outDataType=b.schema.TensorType.FLOAT32))
    if conditional:
        two, equal = b.tensor("i", [], [2]), b.tensor("b", [])
        b.add("EQUAL", [i, two], [equal], b.options("EqualOptions"))
        b.add("IF", [equal, x], [scaled], b.options("IfOptions", thenSubgraphIndex=3, elseSubgraphIndex=4))
    else:
        arithmetic(b, "MUL", x, factor, scaled)
    arithmetic(b, "ADD", scaled, real, next_x)
    b.end([i, x, n], [next_i, next_x, n])
    for value in (0.5, 1.5) if conditional else ():
        b.begin()
        x, factor, y = b.tensor("f", [2, 2]), b.tensor("f", [], [value]), b.tensor("f", [2, 2])
        arithmetic(b, "MUL", x, factor, y)
        b.end([x], [y])


def growing(b):
    """x [1, 2], n: x = [x; x] n times: [2^n, 2]"""
    b.begin()
    i, x = b.tensor("i", []), b.tensor("f", [1, 2])
    i2, x2 = b.tensor("i", []), b.tensor("f", [1, 2])
    b.add("WHILE", [i, x], [i2, x2], b.options("WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2))
    b.end([i, x], [i2, x2])
    b.begin()
    i, x, zero, more = b.tensor("i", []), b.tensor("f", [1, 2]), b.tensor("i", [], [0]), b.tensor("b", [])
    b.add("GREATER", [i, zero], [more], b.options("GreaterOptions"))
    b.end([i, x], [more])
    b.begin()
    i, x, one = b.tensor("i", []), b.tensor("f", [1, 2]), b.tensor("i", [], [1])
    next_i, twice = b.tensor("i", []), b.tensor("f", [2, 2])
    arithmetic(b, "SUB", i, one, next_i)
    b.add("CONCATENATION", [x, x], [twice], b.options("ConcatenationOptions", axis=0))
    b.end([i, x], [next_i, twice])


def operators(b, numpy):
    """(name, inputs, number of inputs that are constants of the model, kinds of the outputs, options)"""
    x = numpy.array([[1.5, -2, 3], [0.5, 7, -7]], numpy.float32)
    i = numpy.array([[7, -7, 8], [-8, 3, 2]], numpy.int32)
    j = numpy.array([[2, 2, -3], [3, -4, 5]], numpy.int32)
    deep = numpy.arange(64, dtype=numpy.float32).reshape(1, 2, 4, 8)

    def whole(*values):
        return numpy.array(values, numpy.int32)

    def one(value, dtype=numpy.int32):
        return numpy.array(value, dtype)
    o = b.options
    return [
        ("NOT_EQUAL", [i, j + 5], 0, "b", o("NotEqualOptions")),
        ("FLOOR_DIV", [i, j], 0, "i", o("FloorDivOptions")),
        ("FLOOR_DIV", [x, x[::-1].copy()], 0, "f", o("FloorDivOptions")),
        ("ZEROS_LIKE", [x], 0, "f", o("ZerosLikeOptions")),
        ("FILL", [whole(2, 3), one(4.5, numpy.float32)], 0, "f", o("FillOptions")),
        ("BROADCAST_TO", [x[:1], whole(2, 2, 3)], 1, "f", o("BroadcastToOptions")),
        ("RANGE", [one(3), one(18), one(4)], 0, "i", o("RangeOptions")),
        ("CUMSUM", [x, one(1)], 1, "f", o("CumsumOptions", exclusive=True, reverse=False)),
        ("CUMSUM", [x, one(0)], 1, "f", o("CumsumOptions", exclusive=False, reverse=True)),
        ("TOPK_V2", [x, one(2)], 1, "fi", o("TopKV2Options")),
        ("GATHER_ND", [deep, whole(0, 1, 3)[None]], 1, "f", o("GatherNdOptions")),
        ("ONE_HOT", [whole(1, -1, 0, 9), one(3), one(2.0, numpy.float32), one(-1.0, numpy.float32)], 3, "f",
         o("OneHotOptions", axis=-1)),
        ("REVERSE_V2", [x, whole(1)], 1, "f", o("ReverseV2Options")),
        ("ADD_N", [x, x + 1, x * 2], 0, "f", None),
        ("L2_NORMALIZATION", [deep], 0, "f", o("L2NormOptions")),
        ("SIGN", [x], 0, "f", o("SignOptions")),
        ("GELU", [x], 0, "f", o("GeluOptions", approximate=False)),
        ("GELU", [x], 0, "f", o("GeluOptions", approximate=True)),
        ("WHERE", [x > 0], 0, "l", o("WhereOptions")),
        ("RANK", [deep], 0, "i", o("RankOptions")),
        ("EMBEDDING_LOOKUP", [whole(1, 0, 1), x], 1, "f", None),
        ("SELECT", [x[:, 0] > 1, x, x + 10], 0, "f", o("SelectOptions")),
        ("SELECT", [x > 0, x, x + 10], 0, "f", o("SelectOptions")),
        ("REDUCE_ANY", [x > 2, whole(1)], 1, "b", o("ReducerOptions", keepDims=True)),
        ("REDUCE_ALL", [x > -3, whole(0)], 1, "b", o("ReducerOptions", keepDims=False)),
        ("BITWISE_XOR", [i, j], 0, "i", o("BitwiseXorOptions")),
        ("BITCAST", [x], 0, "i", o("BitcastOptions")),
        ("RELU_0_TO_1", [x / 4], 0, "f", None),
        ("SCATTER_ND", [whole(1, 3, 1)[:, None], x[:1].T.copy(), whole(5, 1)], 1, "f", o("ScatterNdOptions")),
        ("SCATTER_ND", [whole(1, 3, 1)[:, None], i[0], whole(5)], 1, "i", o("ScatterNdOptions")),
        ("UNIQUE", [whole(4, 9, 4, -2, 9)], 0, "ii", o("UniqueOptions", idxOutType=b.schema.TensorType.INT32)),
        ("REVERSE_SEQUENCE", [deep[0], whole(1, 3)], 0, "f", o("ReverseSequenceOptions", seqDim=1, batchDim=0)),
        ("DEPTH_TO_SPACE", [deep], 0, "f", o("DepthToSpaceOptions", blockSize=2)),
        ("SPACE_TO_DEPTH", [deep], 0, "f", o("SpaceToDepthOptions", blockSize=2)),
    ]


def single(b, name, values, constants, kinds, options):
    b.begin()
    given, numbers = len(values) - constants, []
    for k, value in enumerate(values):
        kind = {"float32": "f", "int32": "i", "bool": "b"}[value.dtype.name]
        numbers.append(b.tensor(kind, value.shape, value if k >= given else None))
    out = [b.tensor(kind, []) for kind in kinds]
    b.add(name, numbers, out, options)
    b.end(numbers[:given], out)


def lstm(b, numpy, peepholes, projection, coupled):
    """x [2, 3, 4] over three steps into 5 units, or 6 cells projected to 5"""
    random = numpy.random.default_rng(5)
    cells, hidden = (6, 5) if projection else (5, 5)

    def weights(*shape):
        return b.tensor("f", shape, random.uniform(-0.8, 0.8, shape))
    b.begin()
    x = b.tensor("f", [2, 3, 4])
    gates = range(1 if coupled else 0, 4)
    inputs = [x] + [-1] * 19
    for g in gates:
        inputs[1 + g], inputs[5 + g], inputs[12 + g] = weights(cells, 4), weights(cells, hidden), weights(cells)
        if peepholes and g != 2:
            inputs[9 + min(g, 2)] = weights(cells)
    if projection:
        inputs[16], inputs[17] = weights(hidden, cells), weights(hidden)
    for place, width in ((18, hidden), (19, cells)):
        inputs[place] = b.tensor("f", [2, width])
        b.model.subgraphs[-1].tensors[-1].isVariable = True
    y = b.tensor("f", [2, 3, hidden])
    b.add("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], b.options(
        "UnidirectionalSequenceLSTMOptions", fusedActivationFunction=b.schema.ActivationFunctionType.TANH,
        cellClip=0.9, projClip=0.5 if projection else 0.0))
    b.end([x], [y])


def compare(name, build, feeds, ledge, litert, schema, numpy):
    b = Builder(schema, numpy)
    build(b)
    file = b.bytes()
    session = ledge.Session(file)
    peer = litert.Interpreter(model_content=file, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    peer.allocate_tensors()
    for feed in feeds:
        for detail, value in zip(peer.get_input_details(), feed):
            peer.set_tensor(detail["index"], value)
        peer.invoke()
        theirs = [peer.get_tensor(detail["index"]) for detail in peer.get_output_details()]
        for ours, wanted in zip(session.run(feed).values(), theirs):
            assert ours.shape == wanted.shape, f"{name}: {ours.shape}, LiteRT has {wanted.shape}"
            assert numpy.allclose(ours, wanted, rtol=1e-6, atol=1e-6), f"{name}: {ours}, LiteRT has {wanted}"
    print(f"{name}: {len(feeds)} runs agree with LiteRT")


def check_refusal(ledge, schema, numpy):
    """A subgraph that calls itself ends, in one line."""
    b = Builder(schema, numpy)
    counting(b, False)
    b.model.subgraphs[2].operators[0].opcodeIndex = 0
    b.model.subgraphs[2].operators[0].inputs, b.model.subgraphs[2].operators[0].outputs = [0, 1, 2], [5, 7, 4]
    b.model.subgraphs[2].operators[0].builtinOptions = b.options("WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    b.model.subgraphs[2].operators[0].builtinOptionsType = schema.BuiltinOptions.WhileOptions
    try:
        ledge.Session(b.bytes())
    except ledge.Error as error:
        assert "\n" not in str(error), error
        print(f"a body that calls itself: {error}")
    else:
        raise AssertionError("a body that calls itself was taken")


def main():
    built, env = sys.argv[1:3]
    testenv.enter(env)
    os.environ["LEDGE_LIBRARY"] = built
    sys.path.insert(0, str(ROOT / "sdk/python"))
    import ledge
    import numpy
    from ai_edge_litert import interpreter as litert
    from ai_edge_litert import schema_py_generated as schema
    x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    whole = lambda value: numpy.array(value, numpy.int32)  # noqa: E731
    rest = (ledge, litert, schema, numpy)
    compare("IF", choice, [[numpy.array(flag), x] for flag in (True, False, True)], *rest)
    feeds = [[whole(0), x[:, :2].copy(), whole(n)] for n in (3, 0, 7, 3)]
    compare("WHILE", lambda b: counting(b, False), feeds, *rest)
    compare("IF in WHILE", lambda b: counting(b, True), feeds, *rest)
    compare("a shape that grows", growing, [[whole(n), x[:1, :2].copy()] for n in (0, 1, 4)], *rest)
    for case in operators(Builder(schema, numpy), numpy):
        compare(case[0], lambda b, case=case: single(b, *case), [case[1][:len(case[1]) - case[2]]], *rest)
    steps = [[numpy.random.default_rng(seed).uniform(-2, 2, (2, 3, 4)).astype(numpy.float32)] for seed in range(4)]
    for variant in ((False, False, False), (True, False, False), (False, True, False), (True, True, False), (False, False, True),
                    (True, True, True)):
        compare(f"LSTM, peepholes {variant[0]}, projection {variant[1]}, coupled gates {variant[2]}",
                lambda b, variant=variant: lstm(b, numpy, *variant), steps, *rest)
    check_refusal(ledge, schema, numpy)
    return 0


if __name__ == "__main__":
    sys.exit(main())
