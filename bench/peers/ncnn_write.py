# SPDX-License-Identifier: Apache-2.0
"""A network of models.py as ncnn's param and bin, float or int8, for ncnn, which reads no ONNX.

What its own converter and optimiser would give: activations inside the convolutions, explicit Split layers; int8 as
ncnn2int8 writes it: symmetric s8 weights and activations, the scale of the next layer fused where one convolution feeds another.
That is ncnn's quantisation, not ONNX's: zero points do not exist, so its answers differ by more than rounding.
"""
import numpy as np

ACTS = {"relu": "9=1", "leaky": "9=2 -23310=1,1.000000e-01", "relu6": "9=3 -23310=2,0.000000e+00,6.000000e+00",
        "hswish": "9=6 -23310=2,1.666667e-01,5.000000e-01", "sigmoid": "9=4"}
INT8_FLAG = np.uint32(0x000D4B38).tobytes()
BINARY_ADD, BINARY_MUL = 0, 2


class Writer:
    def __init__(self, net, quantised):
        self.net, self.quantised = net, quantised
        self.lines, self.data, self.blobs = [], [], 0
        self.readers = {}
        for node in net.nodes:
            for t in node.reads:
                self.readers.setdefault(t, []).append(node)
        self.at, self.left = {}, {}  # tensor -> blob names not yet read

    def layer(self, kind, reads, writes, params=""):
        self.blobs += len(writes)
        names = " ".join(reads + writes)
        self.lines.append(f"{kind} l{len(self.lines)} {len(reads)} {len(writes)} {names} {params}".rstrip())

    def provide(self, tensor, blob):
        """A blob has one reader: more of them go through a Split."""
        n = len(self.readers.get(tensor, [])) + (tensor in self.net.outputs)
        if n <= 1:
            self.left[tensor] = [blob]
        else:
            self.left[tensor] = [f"{blob}_{i}" for i in range(n)]
            self.layer("Split", [blob], list(self.left[tensor]))

    def take(self, tensor):
        return self.left[tensor].pop(0)

    def blob(self):
        return f"b{self.blobs}"

    def activation(self, node):
        """The activation that the layer does itself, and the tensor that comes out then."""
        act, out = node.attributes["act"], node.writes[0]
        readers = self.readers.get(out, [])
        if act is None and len(readers) == 1 and readers[0].op in ("leaky", "hswish"):
            return readers[0].op, readers[0].writes[0], readers[0]
        return act, out, None

    def next_scale(self, tensor):
        """Scale of the only reader when that is a quantised layer too: then the sums become s8 at once."""
        readers = self.readers.get(tensor, [])
        return self.scale(tensor) if len(readers) == 1 and readers[0].op == "conv" else None

    def scale(self, tensor):
        return 127 / max(abs(tensor.low), abs(tensor.high), 1e-6)

    def weights(self, node, out, shape_kind):
        """Appends the layer's data; the parameter that says int8."""
        if not self.quantised:
            self.data += [b"\0\0\0\0", node.weight.tobytes(), node.bias.tobytes()]
            return ""
        q, scales, _ = node.quantised()
        raw = q.tobytes()
        self.data += [INT8_FLAG, raw + bytes(-len(raw) % 4), node.bias.tobytes(), (1 / scales).astype(np.float32).tobytes(),
                      np.float32(self.scale(node.reads[0])).tobytes()]
        following = self.next_scale(out) if shape_kind == "conv" else None
        if following is None:
            return " 8=1"
        self.data.append(np.float32(following).tobytes())
        return " 8=101"

    def conv(self, node):
        a = node.attributes
        act, out, eaten = self.activation(node)
        top, left, bottom, right = a["pads"]
        y = self.blob()
        params = (f"0={len(node.weight)} 1={a['kernel'][1]} 11={a['kernel'][0]} 3={a['stride'][1]} 13={a['stride'][0]} "
                  f"4={left} 14={top} 15={right} 16={bottom} 5=1 6={node.weight.size}")
        if a["groups"] > 1:
            params += f" 7={a['groups']}"
        params += self.weights(node, out, "conv") + (f" {ACTS[act]}" if act else "")
        self.layer("ConvolutionDepthWise" if a["groups"] > 1 else "Convolution", [self.take(node.reads[0])], [y], params)
        self.provide(out, y)
        return eaten

    def fc(self, node):
        act, out, eaten = self.activation(node)
        y = self.blob()
        params = f"0={len(node.weight)} 1=1 2={node.weight.size}" + self.weights(node, out, "fc") + (f" {ACTS[act]}" if act else "")
        self.layer("InnerProduct", [self.take(node.reads[0])], [y], params)
        self.provide(out, y)
        return eaten

    def simple(self, node):
        op, a = node.op, node.attributes
        reads, outs = [self.take(t) for t in node.reads], [f"b{self.blobs}_{i}" for i in range(len(node.writes))]
        if op in ("maxpool", "avgpool"):
            top, left, bottom, right = a["pads"]
            kind, params = "Pooling", (f"0={int(op == 'avgpool')} 1={a['kernel'][1]} 11={a['kernel'][0]} 2={a['stride'][0]} "
                                       f"3={left} 13={top} 14={right} 15={bottom} 5=1")
        elif op == "split":
            half = node.writes[0].shape[1]
            kind, params = "Slice", f"-23300=2,{half},{half} 1=0"
        elif op == "head":
            y = outs[0] + "p"
            self.layer("Permute", reads, [y], "0=3")
            reads, kind, params = [y], "Reshape", f"0={node.writes[0].shape[2]} 1={node.writes[0].shape[1]}"
        else:
            kind, params = {"gap": ("Pooling", "0=1 4=1"), "flatten": ("Flatten", ""), "concat": ("Concat", "0=0"),
                            "mul": ("BinaryOp", f"0={BINARY_MUL}"), "sigmoid": ("Sigmoid", ""), "softmax": ("Softmax", "0=0 1=1"),
                            "hswish": ("HardSwish", "0=1.666667e-01 1=5.000000e-01"), "hsigmoid": ("HardSigmoid", "0=1.666667e-01 1=5.000000e-01"),
                            "leaky": ("ReLU", "0=1.000000e-01"), "upsample": ("Interp", "0=1 1=2.0 2=2.0"),
                            "shuffle": ("ShuffleChannel", "0=2"), "add": ("BinaryOp", f"0={BINARY_ADD}")}[op]
        self.layer(kind, reads, outs, params)
        if op == "add" and a["act"]:
            self.layer("ReLU", outs, [outs[0] + "a"])
            outs = [outs[0] + "a"]
        for t, y in zip(node.writes, outs):
            self.provide(t, y)

    def write(self):
        net, shape = self.net, self.net.input.shape
        dims = f"0={shape[3]} 1={shape[2]} 2={shape[1]}" if len(shape) == 4 else f"0={shape[1]}"
        self.layer("Input", [], ["x"], dims)
        self.provide(net.input, "x")
        eaten = set()
        for node in net.nodes:
            if node in eaten:
                continue
            if node.op in ("conv", "fc"):
                eaten.add(getattr(self, node.op)(node))
            else:
                self.simple(node)
        for i, t in enumerate(net.outputs):
            self.layer("Noop", [self.take(t)], [f"out{i}"])
        text = f"7767517\n{len(self.lines)} {self.blobs}\n" + "\n".join(self.lines) + "\n"
        return text, b"".join(self.data)


def ncnn_files(net, quantised):
    return Writer(net, quantised).write()
