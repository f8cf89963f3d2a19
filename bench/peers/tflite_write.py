# SPDX-License-Identifier: Apache-2.0
"""A network of models.py as TFLite bytes, float or int8, for LiteRT, which reads no ONNX. Same weights, same scales.

int8 is TFLite's: s8 activations (the u8 of the QDQ model less 128), s8 weights per output channel, s32 biases; the
model's own input and output stay float with QUANTIZE and DEQUANTIZE, as in the ONNX file. NHWC; a padding that TFLite's SAME
cannot say is a PAD before the operator, as converters write it. The schema comes with ai-edge-litert.
"""
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

OP, KIND, ACT = s.BuiltinOperator, s.TensorType, s.ActivationFunctionType
KINDS = {"float32": KIND.FLOAT32, "int8": KIND.INT8, "int32": KIND.INT32}
# Version of an operator that takes int8; 1 takes floats.
INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "MUL": 2, "CONCATENATION": 2, "SPLIT": 2,
                 "MEAN": 2, "PAD": 2, "MAX_POOL_2D": 2, "AVERAGE_POOL_2D": 2, "LOGISTIC": 2, "RESIZE_NEAREST_NEIGHBOR": 2,
                 "SOFTMAX": 2, "TRANSPOSE": 2, "DEQUANTIZE": 2, "LEAKY_RELU": 2}


def options_for(op, values):
    """The options table of an operator, its fields set."""
    made = getattr(s, op + "T")()
    for key, value in values.items():
        setattr(made, key, value)
    return getattr(s.BuiltinOptions, op), made


class Writer:
    def __init__(self, net, quantised):
        self.net, self.quantised = net, quantised
        self.model, self.graph = s.ModelT(), s.SubGraphT()
        self.model.version, self.model.subgraphs, self.model.buffers = 3, [self.graph], [s.BufferT()]
        self.model.operatorCodes, self.codes, self.at = [], {}, {}
        self.model.description = net.name
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], net.name

    def tensor(self, shape, kind, scales=None, zeros=None, axis=0, data=None):
        t = s.TensorT()
        t.shape, t.type, t.name = [int(d) for d in shape], kind, f"t{len(self.graph.tensors)}"
        if scales is not None:
            t.quantization = s.QuantizationParametersT()
            t.quantization.scale = [float(v) for v in np.atleast_1d(scales)]
            t.quantization.zeroPoint = [int(v) for v in np.atleast_1d(zeros)]
            t.quantization.quantizedDimension = axis
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def constant(self, array, **quantisation):
        array = np.ascontiguousarray(array)
        return self.tensor(array.shape, KINDS[array.dtype.name], data=array.tobytes(), **quantisation)

    def layout(self, shape):
        """What the network calls NCHW is NHWC here."""
        return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape

    def like(self, t, shape=None):
        """A tensor with the scale of one of the network's."""
        shape = self.layout(t.shape) if shape is None else shape
        if not self.quantised:
            return self.tensor(shape, KIND.FLOAT32)
        return self.tensor(shape, KIND.INT8, t.scale, t.zero - 128)

    def number(self, value):
        """A scalar operand."""
        if not self.quantised:
            return self.constant(np.float32(value))
        return self.constant(np.int8(127), scales=value / 127, zeros=0)

    def add(self, op, reads, writes, options=None, **values):
        if op not in self.codes:
            code = s.OperatorCodeT()
            code.builtinCode = getattr(OP, op)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = INT8_VERSIONS.get(op, 1) if self.quantised else 1
            self.codes[op] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        o = s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = self.codes[op], reads, writes
        if options:
            o.builtinOptionsType, o.builtinOptions = options_for(options, values)
        self.graph.operators.append(o)
        return writes[0]

    def pad(self, x, tensor, pads, lowest):
        """SAME, VALID, or a PAD and VALID: returns the operand and the padding."""
        top, left, bottom, right = pads
        if (top, left) == (bottom, right) == (0, 0):
            return x, s.Padding.VALID
        n, c, h, w = tensor.shape
        rows = self.constant(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
        y = self.like(tensor, (n, h + top + bottom, w + left + right, c))
        if lowest:  # after a ReLU nothing is below zero, so zero is as good as minus infinity
            assert tensor.low >= 0
        return self.add("PAD", [x, rows], [y], "PadOptions"), s.Padding.VALID

    def window(self, node):
        a, t = node.attributes, node.reads[0]
        same = True
        for i in range(2):
            size, k, st = t.shape[2 + i], a["kernel"][i], a["stride"][i]
            total = max(0, (-(-size // st) - 1) * st + k - size)
            same = same and (a["pads"][i], a["pads"][2 + i]) == (total // 2, total - total // 2)
        if same:
            return self.at[t], s.Padding.SAME
        return self.pad(self.at[t], t, a["pads"], node.op == "maxpool")

    def bias(self, node, scales, bias):
        if not self.quantised:
            return self.constant(node.bias)
        wide = (scales * np.float32(node.reads[0].scale)).astype(np.float32)
        return self.constant(bias, scales=wide, zeros=np.zeros(len(wide)), axis=0)

    def conv(self, node, out):
        a = node.attributes
        x, padding = self.window(node)
        q, scales, bias = node.quantised() if self.quantised else (node.weight, None, None)
        depthwise = a["groups"] > 1
        w = q.transpose(1, 2, 3, 0) if depthwise else q.transpose(0, 2, 3, 1)
        more = {} if scales is None else {"scales": scales, "zeros": np.zeros(len(scales)), "axis": 3 if depthwise else 0}
        shared = {"padding": padding, "strideH": a["stride"][0], "strideW": a["stride"][1], "dilationHFactor": 1, "dilationWFactor": 1,
                  "fusedActivationFunction": self.act(a["act"])}
        reads = [x, self.constant(w, **more), self.bias(node, scales, bias)]
        if depthwise:
            return self.add("DEPTHWISE_CONV_2D", reads, [out], "DepthwiseConv2DOptions", depthMultiplier=1, **shared)
        return self.add("CONV_2D", reads, [out], "Conv2DOptions", **shared)

    def act(self, name):
        return {None: ACT.NONE, "relu": ACT.RELU, "relu6": ACT.RELU6}[name]

    def fc(self, node, out):
        q, scales, bias = node.quantised() if self.quantised else (node.weight, None, None)
        more = {} if scales is None else {"scales": scales, "zeros": np.zeros(len(scales)), "axis": 0}
        return self.add("FULLY_CONNECTED", [self.at[node.reads[0]], self.constant(q, **more), self.bias(node, scales, bias)], [out],
                        "FullyConnectedOptions", fusedActivationFunction=self.act(node.attributes["act"]))

    def shuffle(self, node, out):
        t, groups = node.reads[0], node.attributes["groups"]
        n, c, h, w = t.shape
        a, b = self.like(t, (n, h, w, groups, c // groups)), self.like(t, (n, h, w, c // groups, groups))
        shape = self.constant(np.array([n, h, w, groups, c // groups], np.int32))
        self.add("RESHAPE", [self.at[t], shape], [a], "ReshapeOptions")
        self.add("TRANSPOSE", [a, self.constant(np.array([0, 1, 2, 4, 3], np.int32))], [b], "TransposeOptions")
        return self.add("RESHAPE", [b, self.constant(np.array([n, h, w, c], np.int32))], [out], "ReshapeOptions")

    def operator(self, node, out):
        op, x = node.op, [self.at[t] for t in node.reads]
        if op in ("conv", "fc", "shuffle"):
            return getattr(self, op)(node, out)
        if op in ("maxpool", "avgpool"):
            y, padding = self.window(node)
            k, st = node.attributes["kernel"], node.attributes["stride"]
            return self.add({"maxpool": "MAX_POOL_2D", "avgpool": "AVERAGE_POOL_2D"}[op], [y], [out], "Pool2DOptions", padding=padding,
                            filterHeight=k[0], filterWidth=k[1], strideH=st[0], strideW=st[1])
        if op == "gap":
            return self.add("MEAN", [x[0], self.constant(np.array([1, 2], np.int32))], [out], "ReducerOptions", keepDims=True)
        if op in ("flatten", "head"):
            shape = self.constant(np.array(node.writes[0].shape, np.int32))
            return self.add("RESHAPE", [x[0], shape], [out], "ReshapeOptions")
        if op == "hsigmoid":  # min(max(x + 3, 0), 6) / 6
            middle = self.tensor(self.layout(node.writes[0].shape), KIND.INT8, 6 / 255, -128) if self.quantised else self.like(node.writes[0])
            self.add("ADD", [x[0], self.number(3.0)], [middle], "AddOptions", fusedActivationFunction=ACT.RELU6)
            return self.add("MUL", [middle, self.number(1 / 6)], [out], "MulOptions")
        if op == "upsample":
            size = self.constant(np.array(node.writes[0].shape[2:], np.int32))
            return self.add("RESIZE_NEAREST_NEIGHBOR", [x[0], size], [out], "ResizeNearestNeighborOptions")
        if op == "concat":
            return self.add("CONCATENATION", x, [out], "ConcatenationOptions", axis=3 if len(node.writes[0].shape) == 4 else 1)
        if op == "add":
            return self.add("ADD", x, [out], "AddOptions", fusedActivationFunction=self.act(node.attributes["act"]))
        simple = {"mul": ("MUL", "MulOptions", {}), "sigmoid": ("LOGISTIC", None, {}), "hswish": ("HARD_SWISH", "HardSwishOptions", {}),
                  "softmax": ("SOFTMAX", "SoftmaxOptions", {"beta": 1.0}), "leaky": ("LEAKY_RELU", "LeakyReluOptions", {"alpha": 0.1})}
        code, options, values = simple[op]
        return self.add(code, x, [out], options, **values)

    def split(self, node):
        outs = [self.like(t) for t in node.writes]
        axis = self.constant(np.int32(3))
        self.add("SPLIT", [axis, self.at[node.reads[0]]], outs, "SplitOptions", numSplits=2)
        self.at.update(zip(node.writes, outs))

    def write(self):
        net = self.net
        shape = self.layout(net.input.shape)
        first = self.tensor(shape, KIND.FLOAT32)
        self.at[net.input] = self.add("QUANTIZE", [first], [self.like(net.input)], "QuantizeOptions") if self.quantised else first
        for node in net.nodes:
            if node.op == "split":
                self.split(node)
            else:
                self.at[node.writes[0]] = self.operator(node, self.like(node.writes[0]))
        outputs = [self.at[t] for t in net.outputs]
        if self.quantised:
            outputs = [self.add("DEQUANTIZE", [o], [self.tensor(self.graph.tensors[o].shape, KIND.FLOAT32)], "DequantizeOptions")
                       for o in outputs]
        self.graph.inputs, self.graph.outputs = [first], outputs
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def tflite_bytes(net, quantised):
    return Writer(net, quantised).write()
