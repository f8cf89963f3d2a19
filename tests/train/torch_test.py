# SPDX-License-Identifier: Apache-2.0
"""20 training steps beside PyTorch: the same initial weights and batches must give the same losses.

usage: torch_test.py TRAIN_CURVE

PyTorch runs in double precision, so it is the judge of our f32: losses of the first ten steps within 1e-4 relative, of
the others within 1e-3, and running statistics of batch normalisation after the last step within 1e-3 of their norm (Adam
divides by the root of tiny second moments, so rounding shows there first). Later steps may be further away: sooner or
later rounding puts an input of Relu on the other side of zero, and the difference of 1e-7 that this makes doubles with
each step from there on. It happens to ResNet-8, where an input is 9.6e-9 in step 10, with the loops of AVX2 and of plain C, not of AVX-512.
"""
import array
import os
import subprocess
import sys
import tempfile

try:
    import torch
except ImportError as why:
    print(f"skipped: this python3 has no torch ({why})")
    sys.exit(77)

from torch import nn

STEPS, BATCH, SIDE, CLASSES = 20, 16, 20, 5
TOLERANCE, LATER = 1e-4, 1e-3  # of the first half, of the second
DRIFT = 1e-3


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        side = (SIDE // 2 - 4) // 2
        self.dense3 = nn.Linear(16 * side * side, 120)
        self.dense4 = nn.Linear(120, 84)
        self.dense5 = nn.Linear(84, CLASSES)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.dense3(x.flatten(1)))
        return self.dense5(torch.relu(self.dense4(x)))


class Cnn4(nn.Module):
    def __init__(self):
        super().__init__()
        before = 1
        for i, channels in enumerate((16, 32, 64, 128), 1):
            setattr(self, f"conv{i}", nn.Conv2d(before, channels, 3, padding=1, bias=False))
            setattr(self, f"norm{i}", nn.BatchNorm2d(channels))
            before = channels
        self.dense5 = nn.Linear(128, CLASSES)

    def forward(self, x):
        for i in range(1, 5):
            x = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x))
            x = torch.max_pool2d(torch.relu(x), 2)
        return self.dense5(x.mean((2, 3)))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        def conv(number, a, b, k, stride):
            setattr(self, f"conv{number}", nn.Conv2d(a, b, k, stride, k // 2, bias=False))
            if k == 3:
                setattr(self, f"norm{number}", nn.BatchNorm2d(b))
        conv(1, 1, 16, 3, 1)
        conv(2, 16, 16, 3, 1), conv(3, 16, 16, 3, 1)
        conv(4, 16, 32, 3, 2), conv(5, 32, 32, 3, 1), conv(6, 16, 32, 1, 2)
        conv(7, 32, 64, 3, 2), conv(8, 64, 64, 3, 1), conv(9, 32, 64, 1, 2)
        self.dense10 = nn.Linear(64, CLASSES)

    def layer(self, n, x):
        return getattr(self, f"norm{n}")(getattr(self, f"conv{n}")(x))

    def forward(self, x):
        x = torch.relu(self.layer(1, x))
        x = torch.relu(self.layer(3, torch.relu(self.layer(2, x))) + x)
        x = torch.relu(self.layer(5, torch.relu(self.layer(4, x))) + self.conv6(x))
        x = torch.relu(self.layer(8, torch.relu(self.layer(7, x))) + self.conv9(x))
        return self.dense10(x.mean((2, 3)))


class Mobile(nn.Module):
    """ds-cnn: a depthwise and a pointwise convolution, four times."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, (10, 4), 2, (4, 1), bias=False)
        self.norm1 = nn.BatchNorm2d(64)
        for i in range(4):
            n = 2 + 2 * i
            setattr(self, f"conv{n}", nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False))
            setattr(self, f"conv{n + 1}", nn.Conv2d(64, 64, 1, bias=False))
            setattr(self, f"norm{n}", nn.BatchNorm2d(64))
            setattr(self, f"norm{n + 1}", nn.BatchNorm2d(64))
        self.dense10 = nn.Linear(64, CLASSES)

    def forward(self, x):
        for n in range(1, 10):
            x = torch.relu(getattr(self, f"norm{n}")(getattr(self, f"conv{n}")(x)))
        return self.dense10(x.mean((2, 3)))


NETWORKS = {"lenet5": LeNet, "cnn4": Cnn4, "resnet8": ResNet8, "ds-cnn": Mobile}
KINDS = {"weight": "weight", "bias": "bias", "scale": "weight", "mean": "running_mean",
         "var": "running_var"}


def floats(path):
    values = array.array("f")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return torch.tensor(values.tolist(), dtype=torch.float64)


def tensor_of(network, name):
    layer, kind = name.rsplit(".", 1)
    return getattr(getattr(network, layer), KINDS[kind])


def params(network, folder, file):
    """(name, tensor of the PyTorch network, our values)"""
    values, at = floats(os.path.join(folder, file)), 0
    for line in open(os.path.join(folder, "params.txt")):
        name, count = line.split()
        tensor = tensor_of(network, name)
        yield name, tensor, values[at:at + int(count)].reshape(tensor.shape)
        at += int(count)


def compare(program, arch, optimizer, folder):
    subprocess.run([program, arch, optimizer, folder], check=True)
    network = NETWORKS[arch]().double()
    seen = 0
    with torch.no_grad():
        for _, tensor, values in params(network, folder, "params.bin"):
            tensor.copy_(values)
            seen += tensor.numel()
    total = sum(p.numel() for p in network.state_dict().values() if p.dtype == torch.float64)
    assert seen == total, f"{arch}: {seen} values for a network of {total}"
    x = floats(os.path.join(folder, "x.bin")).reshape(STEPS, BATCH, 1, SIDE, SIDE)
    labels = array.array("i")
    labels.frombytes(open(os.path.join(folder, "labels.bin"), "rb").read())
    labels = torch.tensor(labels.tolist()).reshape(STEPS, BATCH)
    ours = [float(line) for line in open(os.path.join(folder, "losses.txt"))]
    make = {"sgd": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9),
            "adam": lambda p: torch.optim.Adam(p, 0.002, eps=1e-8)}[optimizer]
    step = make(network.parameters())
    worst, good = 0, True
    for i in range(STEPS):
        loss = nn.functional.cross_entropy(network(x[i]), labels[i])
        step.zero_grad()
        loss.backward()
        step.step()
        difference = abs(loss.item() - ours[i]) / abs(loss.item())
        good = good and difference <= (TOLERANCE if i < STEPS // 2 else LATER)
        worst = max(worst, difference)
    drift = 0
    for name, tensor, values in params(network, folder, "after.bin"):
        if name.endswith((".mean", ".var")):
            drift = max(drift, ((tensor - values).norm() / tensor.norm()).item())
    print(f"{arch:8} {optimizer:4} loss {ours[0]:.5f} -> {ours[-1]:.5f}  "
          f"worst relative difference {worst:.1e}, running statistics {drift:.1e}")
    return good and drift <= DRIFT and ours[-1] < ours[0]


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    good = True
    for arch in NETWORKS:
        for optimizer in ("sgd",) if arch == "ds-cnn" else ("sgd", "adam"):
            with tempfile.TemporaryDirectory() as folder:
                good = compare(sys.argv[1], arch, optimizer, folder) and good
    sys.exit(0 if good else 1)


main()
