#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks with real architectures and seeded random weights, so that every figure can be had again without a download.

Usage: models.py FOLDER [NAME...]       default: all; writes NAME.f32.onnx and NAME.i8.onnx, for the peers that cannot
                                        read ONNX NAME.*.tflite and NAME.*.param/.bin, and NAME.json (MACs, input)
       models.py --list
       models.py --onnx FILE NAME       the float model only; needs numpy and nothing else
Needs the packages of build/peers/venv (bench/peers/setup); calibration runs the float model in ONNX Runtime.

Every architecture is the published one, batch norms folded; multiply-accumulates are counted here and compared with the
published number: a difference above 2% is an error. Weights: normal, variance 2 / fan-in (He et al., 2015), the last
layer of a residual branch at half of that. Quantisation: ranges of each tensor over two pictures, zero always inside; values
that only move (pooling, concatenation, split, reshape) keep one scale, as TFLite demands.
"""
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from onnx_write import onnx_bytes  # noqa: E402

MOVES = ("maxpool", "concat", "split", "shuffle", "upsample", "flatten", "head", "avgpool")


class Tensor:
    def __init__(self, shape):
        self.shape = tuple(shape)
        self.low = self.high = 0.0
        self.same = self  # whose scale this is
        self.scale, self.zero = 1.0, 0

    def leader(self):
        while self.same is not self:
            self = self.same
        return self


class Node:
    def __init__(self, op, reads, shapes, **attributes):
        self.op, self.reads, self.attributes = op, reads, attributes
        self.writes = [Tensor(s) for s in shapes]
        self.weight = self.bias = None

    def quantised(self):
        """s8 weights, one f32 scale per output channel, s32 biases in units of x_scale * w_scale."""
        flat = np.abs(self.weight).reshape(len(self.weight), -1).max(axis=1)
        scales = (np.maximum(flat, 1e-8) / 127).astype(np.float32)
        wide = scales.reshape((-1,) + (1,) * (self.weight.ndim - 1))
        q = np.clip(np.rint(self.weight / wide), -127, 127).astype(np.int8)
        bias = np.rint(self.bias / (scales.astype(np.float64) * self.reads[0].scale)).astype(np.int32)
        return q, scales, bias


def make_divisible(v, by=8):
    """Howard et al., MobileNetV2/V3: round to a multiple of 8, never below 90%."""
    new = max(by, int(v + by / 2) // by * by)
    return new + by if new < 0.9 * v else new


class Net:
    def __init__(self, name, shape, same):
        self.name, self.nodes, self.outputs, self.macs = name, [], [], 0
        self.same = same  # TensorFlow's "same" padding; else k // 2 on all sides
        self.random = np.random.default_rng(sum(name.encode()))
        self.input = Tensor(shape)

    def add_node(self, op, reads, *shapes, **attributes):
        self.nodes.append(Node(op, reads, shapes, **attributes))
        return self.nodes[-1].writes[0]

    def window(self, x, kernel, stride, pad):
        """Padding [top, left, bottom, right] and the output's height and width."""
        pads, out = [0, 0, 0, 0], []
        for i in range(2):
            size, k, s = x.shape[2 + i], kernel[i], stride[i]
            total = 2 * (k // 2 if pad is None else pad)
            if self.same and pad is None:
                total = max(0, (-(-size // s) - 1) * s + k - size)
            pads[i], pads[2 + i] = total // 2, total - total // 2
            out.append((size + total - k) // s + 1)
        return pads, out

    def draw(self, node, shape, fan_in, gain):
        node.weight = (self.random.standard_normal(shape) * np.sqrt(gain / fan_in)).astype(np.float32)
        node.bias = (self.random.standard_normal(shape[0]) * 0.1).astype(np.float32)

    def conv(self, x, c_out, k, stride=1, groups=1, act="relu", pad=None, gain=None):
        kernel = list(k) if isinstance(k, tuple) else [k, k]
        stride = list(stride) if isinstance(stride, tuple) else [stride, stride]
        pads, (h, w) = self.window(x, kernel, stride, pad)
        c_in = x.shape[1] // groups
        inner = act if act in ("relu", "relu6") else None
        y = self.add_node("conv", [x], (1, c_out, h, w), kernel=kernel, stride=stride, pads=pads, groups=groups, act=inner)
        fan_in = c_in * kernel[0] * kernel[1]
        self.draw(self.nodes[-1], (c_out, c_in, *kernel), fan_in, gain or (2 if act else 1))
        self.macs += h * w * c_out * fan_in
        return y if act == inner else self.unary(act, y)

    def dw(self, x, k=3, stride=1, act="relu"):
        return self.conv(x, x.shape[1], k, stride, x.shape[1], act)

    def fc(self, x, n, act=None):
        y = self.add_node("fc", [x], (1, n), act=act if act == "relu" else None)
        self.draw(self.nodes[-1], (n, x.shape[1]), x.shape[1], 2 if act else 1)
        self.macs += n * x.shape[1]
        return y if act in (None, "relu") else self.unary(act, y)

    def unary(self, op, x):
        if op == "swish":
            return self.mul(x, self.unary("sigmoid", x))
        return self.add_node(op, [x], x.shape)

    def pool(self, x, k, stride, pad=None, op="maxpool"):
        kernel, stride = (list(k) if isinstance(k, tuple) else [k, k]), [stride, stride]
        pads, (h, w) = self.window(x, kernel, stride, pad)
        return self.add_node(op, [x], (*x.shape[:2], h, w), kernel=kernel, stride=stride, pads=pads)

    def gap(self, x):
        return self.add_node("gap", [x], (*x.shape[:2], 1, 1))

    def flatten(self, x):
        return self.add_node("flatten", [x], (1, int(np.prod(x.shape))))

    def add(self, a, b, act=None):
        return self.add_node("add", [a, b], a.shape, act=act)

    def mul(self, a, b):
        return self.add_node("mul", [a, b], a.shape)

    def concat(self, *xs):
        shape = list(xs[0].shape)
        shape[1] = sum(x.shape[1] for x in xs)
        return self.add_node("concat", list(xs), shape)

    def split(self, x):
        half = (1, x.shape[1] // 2, *x.shape[2:])
        self.add_node("split", [x], half, half)
        return self.nodes[-1].writes

    def shuffle(self, x, groups=2):
        return self.add_node("shuffle", [x], x.shape, groups=groups)

    def upsample(self, x):
        n, c, h, w = x.shape
        return self.add_node("upsample", [x], (n, c, 2 * h, 2 * w))

    def head(self, x, last):
        """A detector's output: position, anchor, value."""
        return self.add_node("head", [x], (1, int(np.prod(x.shape)) // last, last))

    def excite(self, x, squeeze, gate, act="relu"):
        """Hu et al., squeeze and excitation."""
        y = self.conv(self.gap(x), squeeze, 1, act=act)
        return self.mul(x, self.conv(y, x.shape[1], 1, act=gate))

    def classify(self, x, classes, softmax=False):
        y = self.fc(self.flatten(self.gap(x)), classes)
        return self.unary("softmax", y) if softmax else y


# -- architectures


def mobilenet_v1(name="mobilenet_v1", size=224, alpha=1.0, classes=1000, softmax=False):
    """Howard et al. (2017), table 1, with TensorFlow's padding."""
    net = Net(name, (1, 3, size, size), True)
    feature = v1_body(net, alpha, "relu6")[-1]
    net.outputs = [net.classify(feature, classes, softmax)]
    return net


def v1_body(net, alpha, act):
    y, features = net.conv(net.input, int(32 * alpha), 3, 2, act=act), []
    for c, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        y = net.conv(net.dw(y, 3, stride, act), int(c * alpha), 1, act=act)
        features.append(y)
    return features


def inverted(net, x, expand, c, k, stride, act="relu6", gate=None):
    """Sandler et al. (2018), figure 4d; gate: (squeeze width, act, gate) of an excitation."""
    y = net.conv(x, expand, 1, act=act) if expand != x.shape[1] else x
    y = net.dw(y, k, stride, act)
    if gate:
        y = net.excite(y, gate[0], gate[2], gate[1])
    joins = stride == 1 and x.shape[1] == c
    y = net.conv(y, c, 1, act=None, gain=0.5 if joins else 1)
    return net.add(y, x) if joins else y


def mobilenet_v2():
    """Sandler et al. (2018), table 2."""
    net = Net("mobilenet_v2", (1, 3, 224, 224), False)
    y = net.conv(net.input, 32, 3, 2, act="relu6")
    for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            y = inverted(net, y, y.shape[1] * t, c, 3, s if i == 0 else 1)
    net.outputs = [net.classify(net.conv(y, 1280, 1, act="relu6"), 1000)]
    return net


V3_LARGE = [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
            (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
            (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)]
V3_SMALL = [(3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
            (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
            (5, 576, 96, 1, 1, 1)]


def mobilenet_v3(name, rows, last, wide):
    """Howard et al. (2019), tables 1 and 2: kernel, expansion, channels, excite, h-swish, stride."""
    net = Net(name, (1, 3, 224, 224), False)
    y = net.conv(net.input, 16, 3, 2, act="hswish")
    for k, expand, c, excite, swish, stride in rows:
        gate = (make_divisible(expand / 4), "relu", "hsigmoid") if excite else None
        y = inverted(net, y, expand, c, k, stride, "hswish" if swish else "relu", gate)
    y = net.flatten(net.gap(net.conv(y, last, 1, act="hswish")))
    net.outputs = [net.fc(net.fc(y, wide, "hswish"), 1000)]
    return net


def mnasnet():
    """Tan et al. (2019), MnasNet-B1."""
    net = Net("mnasnet1_0", (1, 3, 224, 224), False)
    y = net.conv(net.dw(net.conv(net.input, 32, 3, 2)), 16, 1, act=None)
    for c, k, s, t, n in [(24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1)]:
        for i in range(n):
            y = inverted(net, y, y.shape[1] * t, c, k, s if i == 0 else 1, "relu")
    net.outputs = [net.classify(net.conv(y, 1280, 1), 1000)]
    return net


def efficientnet_b0():
    """Tan and Le (2019), table 1."""
    net = Net("efficientnet_b0", (1, 3, 224, 224), False)
    y = net.conv(net.input, 32, 3, 2, act="swish")
    for t, k, s, c, n in [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]:
        for i in range(n):
            gate = (max(1, y.shape[1] // 4), "swish", "sigmoid")
            y = inverted(net, y, y.shape[1] * t, c, k, s if i == 0 else 1, "swish", gate)
    net.outputs = [net.classify(net.conv(y, 1280, 1, act="swish"), 1000)]
    return net


def squeezenet():
    """Iandola et al. (2016), version 1.1."""
    net = Net("squeezenet1_1", (1, 3, 224, 224), False)
    y = net.pool(net.conv(net.input, 64, 3, 2, pad=0), 3, 2, 0)
    for i, (squeeze, expand) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]):
        y = net.conv(y, squeeze, 1)
        y = net.concat(net.conv(y, expand, 1), net.conv(y, expand, 3))
        if i in (1, 3):
            y = net.pool(y, 3, 2, 0)
    net.outputs = [net.flatten(net.gap(net.conv(y, 1000, 1)))]
    return net


def shufflenet_v2():
    """Ma et al. (2018), table 5, 1x."""
    net = Net("shufflenet_v2", (1, 3, 224, 224), False)
    y = net.pool(net.conv(net.input, 24, 3, 2), 3, 2, 1)
    for c, n in [(116, 4), (232, 8), (464, 4)]:
        for i in range(n):
            stride = 2 if i == 0 else 1
            a, b = (y, y) if i == 0 else net.split(y)
            if i == 0:
                a = net.conv(net.dw(a, 3, 2, None), c // 2, 1)
            b = net.conv(net.dw(net.conv(b, c // 2, 1), 3, stride, None), c // 2, 1)
            y = net.shuffle(net.concat(a, b))
    net.outputs = [net.classify(net.conv(y, 1024, 1), 1000)]
    return net


def resnet(depth):
    """He et al. (2015), table 1; stride in the 3x3 of a bottleneck (v1.5)."""
    net = Net(f"resnet{depth}", (1, 3, 224, 224), False)
    y = net.pool(net.conv(net.input, 64, 7, 2), 3, 2, 1)
    for stage, n in enumerate({18: [2, 2, 2, 2], 50: [3, 4, 6, 3]}[depth]):
        c = 64 << stage
        for i in range(n):
            stride, x = 2 if i == 0 and stage > 0 else 1, y
            if depth == 50:
                y = net.conv(net.conv(net.conv(x, c, 1), c, 3, stride), 4 * c, 1, act=None, gain=0.5)
            else:
                y = net.conv(net.conv(x, c, 3, stride), c, 3, act=None, gain=0.5)
            if x.shape != y.shape:
                x = net.conv(x, y.shape[1], 1, stride, act=None, pad=0)
            y = net.add(y, x, "relu")
    net.outputs = [net.classify(y, 1000)]
    return net


def ssd_mobilenet():
    """Liu et al. (2016) on MobileNetV1, 300x300, 90 classes and background, 1x1 predictors."""
    net = Net("ssd_mobilenet_v1", (1, 3, 300, 300), True)
    features = v1_body(net, 1.0, "relu6")
    maps = [features[10], features[12]]
    for narrow, wide in [(256, 512), (128, 256), (128, 256), (64, 128)]:
        maps.append(net.conv(net.conv(maps[-1], narrow, 1, act="relu6"), wide, 3, 2, act="relu6"))
    boxes, scores = [], []
    for i, feature in enumerate(maps):
        anchors = 3 if i == 0 else 6
        boxes.append(net.head(net.conv(feature, anchors * 4, 1, act=None), 4))
        scores.append(net.head(net.conv(feature, anchors * 91, 1, act=None), 91))
    net.outputs = [net.concat(*boxes), net.unary("sigmoid", net.concat(*scores))]
    return net


def yolo_tiny():
    """Bochkovskiy et al. (2020), YOLOv4-tiny, 416x416, 80 classes."""
    net = Net("yolov4_tiny", (1, 3, 416, 416), False)

    def leaky(x, c, k, s=1):
        return net.conv(x, c, k, s, act="leaky")

    y = leaky(leaky(net.input, 32, 3, 2), 64, 3, 2)
    for c in (64, 128, 256):
        whole = leaky(y, c, 3)
        a = leaky(net.split(whole)[1], c // 2, 3)
        b = leaky(a, c // 2, 3)
        route = leaky(net.concat(b, a), c, 1)
        y = net.pool(net.concat(whole, route), 2, 2, 0)
    top = leaky(leaky(y, 512, 3), 256, 1)
    fine = net.concat(net.upsample(leaky(top, 128, 1)), route)
    net.outputs = [net.conv(leaky(top, 512, 3), 255, 1, act=None), net.conv(leaky(fine, 256, 3), 255, 1, act=None)]
    return net


def ds_cnn(name, first, rows, classes, softmax):
    """Zhang et al. (2017), Hello Edge: 49 frames of 10 coefficients. first: channels and stride; rows: strides."""
    net = Net(name, (1, 1, 49, 10), True)
    c, stride = first
    y = net.conv(net.input, c, (10, 4), stride)
    for stride in rows:
        y = net.conv(net.dw(y, 3, stride), c, 1)
    net.outputs = [net.classify(y, classes, softmax)]
    return net


def resnet8():
    """MLPerf Tiny, image classification: CIFAR-10."""
    net = Net("tiny_ic_resnet8", (1, 3, 32, 32), True)
    y = net.conv(net.input, 16, 3)
    for c, stride in [(16, 1), (32, 2), (64, 2)]:
        x = y
        y = net.conv(net.conv(x, c, 3, stride), c, 3, act=None)
        if stride == 2:
            x = net.conv(x, c, 1, 2, act=None)
        y = net.add(y, x, "relu")
    net.outputs = [net.classify(y, 10, True)]
    return net


def autoencoder():
    """MLPerf Tiny, anomaly detection: ToyADMOS."""
    net = Net("tiny_ad_autoencoder", (1, 640), True)
    y = net.input
    for n in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        y = net.fc(y, n, "relu")
    net.outputs = [net.fc(y, 640)]
    return net


# name: how to make it, published multiply-accumulates in millions (of the paper, torchvision's or MLPerf's tables)
MODELS = {
    "mobilenet_v1": (mobilenet_v1, 568.7),
    "mobilenet_v2": (mobilenet_v2, 300.8),
    "mobilenet_v3_small": (lambda: mobilenet_v3("mobilenet_v3_small", V3_SMALL, 576, 1024), 56.5),
    "mobilenet_v3_large": (lambda: mobilenet_v3("mobilenet_v3_large", V3_LARGE, 960, 1280), 216.6),
    "squeezenet1_1": (squeezenet, 349.2),
    "shufflenet_v2": (shufflenet_v2, 144.9),
    "mnasnet1_0": (mnasnet, 314.4),
    "efficientnet_b0": (efficientnet_b0, 385.9),
    "resnet18": (lambda: resnet(18), 1814.1),
    "resnet50": (lambda: resnet(50), 4089.2),
    "ssd_mobilenet_v1": (ssd_mobilenet, 1230),
    "yolov4_tiny": (yolo_tiny, 3455),
    "ds_cnn_l": (lambda: ds_cnn("ds_cnn_l", (276, (2, 1)), [2, 1, 1, 1, 1], 12, True), 28.45),
    "tiny_kws_ds_cnn": (lambda: ds_cnn("tiny_kws_ds_cnn", (64, (2, 2)), [1, 1, 1, 1], 12, True), 2.66),
    "tiny_vww_mobilenet": (lambda: mobilenet_v1("tiny_vww_mobilenet", 96, 0.25, 2, True), 7.49),
    "tiny_ic_resnet8": (resnet8, 12.5),
    "tiny_ad_autoencoder": (autoencoder, 0.264),
}


# -- calibration


def picture(net, seed):
    """Smooth shapes and some noise, about -1..1."""
    random = np.random.default_rng(seed)
    shape = net.input.shape
    if len(shape) == 2:
        return random.standard_normal(shape).astype(np.float32)
    coarse = random.standard_normal((1, shape[1], 7, 7))
    rows, columns = (np.arange(shape[i]) * 7 // shape[i] for i in (2, 3))
    return (0.5 * coarse[:, :, rows][:, :, :, columns] + 0.25 * random.standard_normal(shape)).astype(np.float32, order="C")


def calibrate(net):
    import onnxruntime
    data = onnx_bytes(net, False, every_output=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    tensors = [t for n in net.nodes for t in n.writes]
    for seed in (1, 2):
        x = picture(net, seed)
        for t, value in zip([net.input] + tensors, [x] + session.run(None, {"x": x})):
            t.low, t.high = min(t.low, float(value.min())), max(t.high, float(value.max()))
    for node in net.nodes:
        if node.op in MOVES:
            for t in node.reads[1:] + node.writes:
                t.leader().same = node.reads[0].leader()
    every = [net.input] + tensors
    for t in every:
        top = t.leader()
        top.low, top.high = min(top.low, t.low), max(top.high, t.high)
    for node in net.nodes:
        if node.op in ("sigmoid", "softmax"):  # TFLite fixes these: 1/256
            node.writes[0].leader().low, node.writes[0].leader().high = 0.0, 255 / 256
    for t in every:
        top = t.leader()
        t.scale = float(np.float32(max(top.high - top.low, 1e-6) / 255))
        t.zero = int(np.clip(np.rint(-top.low / t.scale), 0, 255))


def make(name):
    build, published = MODELS[name]
    net = build()
    found = net.macs / 1e6
    if abs(found / published - 1) > 0.02:
        sys.exit(f"{name}: {found:.2f} MMAC, published {published}")
    return net


def write_all(folder, name):
    from ncnn_write import ncnn_files
    from tflite_write import tflite_bytes
    net = make(name)
    calibrate(net)
    for quantised, kind in ((False, "f32"), (True, "i8")):
        base = folder / f"{name}.{kind}"
        pathlib.Path(f"{base}.onnx").write_bytes(onnx_bytes(net, quantised))
        pathlib.Path(f"{base}.tflite").write_bytes(tflite_bytes(net, quantised))
        param, data = ncnn_files(net, quantised)
        pathlib.Path(f"{base}.param").write_text(param)
        pathlib.Path(f"{base}.bin").write_bytes(data)
    weights = sum(n.weight.size for n in net.nodes if n.weight is not None)
    about = {"name": name, "macs": net.macs, "weights": weights, "input": net.input.shape,
             "outputs": [t.shape for t in net.outputs], "published_mmacs": MODELS[name][1]}
    (folder / f"{name}.json").write_text(json.dumps(about))
    print(f"{name}: {net.macs / 1e6:.2f} MMAC (published {MODELS[name][1]}), {weights / 1e6:.2f} M weights")


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(MODELS))
    elif len(arguments) == 3 and arguments[0] == "--onnx":
        pathlib.Path(arguments[1]).write_bytes(onnx_bytes(make(arguments[2]), False))
    elif arguments and not arguments[0].startswith("-") and all(a in MODELS for a in arguments[1:]):
        folder = pathlib.Path(arguments[0])
        folder.mkdir(parents=True, exist_ok=True)
        for name in arguments[1:] or MODELS:
            write_all(folder, name)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
