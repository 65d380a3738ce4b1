#!/usr/bin/env python3
"""Writes the reference vectors of test_nn_reference: small networks run in float64 by PyTorch.

    python3 make_reference.py [folder]

Needs torch and numpy. Two files: reference.net, the descriptions of all cases, which the C test
reads, and reference.f32, little-endian float32, for each case in turn: input, target, weight (if
any), parameters, output, then for three steps the total and the terms of the loss, the first
step's gradient, the parameters after the third step, and their average (if any).
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 3


class Net:
    """A description, one layer a line, and what torch makes of it."""

    def __init__(self, dims, channels):
        self.dims, self.layers = dims, []
        self.add("input", "input", [], channels=channels)

    def add(self, kind, name, inputs, **o):
        one = [1, 1, 1]
        layer = dict(kind=kind, name=name, inputs=inputs, channels=0, kernel=one, stride=one,
                     dilation=one, pad=0, act=0, slope=0.0, epsilon=0.0, bias=0, channel=0,
                     invert=0, supervise=0.0)
        layer.update(o)
        first = self.layers[inputs[0]]["channels"] if inputs else 0
        if kind in ("norm", "act", "pool", "up", "add", "scale"):
            layer["channels"] = first
        elif kind in ("mask", "window"):
            layer["channels"] = 1
        elif kind == "gate":
            layer["channels"] = first // 2
        elif kind == "concat":
            layer["channels"] = sum(self.layers[i]["channels"] for i in inputs)
        self.layers.append(layer)
        return len(self.layers) - 1

    def axes(self, v):
        v = [v] * 3 if isinstance(v, int) else list(v)
        return v if self.dims == 3 else [1] + v[1:]

    def conv(self, x, channels, kernel=3, stride=1, dilation=1, pad=0, bias=1):
        return self.add("conv", f"conv{len(self.layers)}", [x], channels=channels,
                        kernel=self.axes(kernel), stride=self.axes(stride),
                        dilation=self.axes(dilation), pad=pad, bias=bias)

    def deconv(self, x, channels, stride=2, bias=1):
        return self.add("deconv", f"deconv{len(self.layers)}", [x], channels=channels,
                        kernel=self.axes(stride), stride=self.axes(stride), bias=bias)

    def norm(self, x, affine=1):
        return self.add("norm", f"norm{len(self.layers)}", [x], epsilon=1e-5, bias=affine)

    def act(self, x, act="leaky", slope=0.1):
        kind = ["none", "relu", "leaky", "sigmoid", "tanh"].index(act)
        return self.add("act", f"act{len(self.layers)}", [x], act=kind, slope=slope)

    def simple(self, kind, x, stride=1):
        return self.add(kind, f"{kind}{len(self.layers)}", [x], stride=self.axes(stride))

    def join(self, kind, *inputs):
        return self.add(kind, f"{kind}{len(self.layers)}", list(inputs))

    def mask(self, x, channel=0, invert=0):
        return self.add("mask", f"mask{len(self.layers)}", [x], channel=channel, invert=invert)

    def window(self, x, kernel=3, stride=1, dilation=1, pad=0):
        return self.add("window", f"window{len(self.layers)}", [x], kernel=self.axes(kernel),
                        stride=self.axes(stride), dilation=self.axes(dilation), pad=pad)

    def scale(self, x, by, bias=0):
        return self.add("scale", f"scale{len(self.layers)}", [x, by], bias=bias)

    def partial(self, x, m, channels, **o):
        """Partial convolution and the mask behind it."""
        r = self.window(m, **o)
        y = self.scale(self.conv(self.scale(x, m), channels, bias=0, **o), r, bias=1)
        return y, self.mask(r)

    def parameters(self, rng):
        ret, self.owners = [], []
        for l in self.layers:
            c = l["channels"]
            k = l["kernel"][3 - self.dims:]
            if l["kind"] in ("conv", "deconv"):
                ci = self.layers[l["inputs"][0]]["channels"]
                shape = ([c, ci] if l["kind"] == "conv" else [ci, c]) + k
                scale = (3.0 / (ci * np.prod(k))) ** 0.5
                ret.append(rng.uniform(-scale, scale, shape))
                if l["bias"]:
                    ret.append(rng.uniform(-0.3, 0.3, c))
            elif l["kind"] == "norm" and l["bias"]:
                ret.append(rng.uniform(0.5, 1.5, c))
                ret.append(rng.uniform(-0.5, 0.5, c))
            elif l["kind"] == "scale" and l["bias"]:
                ret.append(rng.uniform(-0.5, 0.5, c))
            self.owners += [l["name"]] * (len(ret) - len(self.owners))
        return [torch.tensor(p.astype(np.float32).astype(np.float64), requires_grad=True)
                for p in ret]

    def forward(self, x, params):
        """What leaves each layer."""
        params, values = iter(params), []
        for l in self.layers:
            kind, v = l["kind"], [values[i] for i in l["inputs"]]
            if kind == "input":
                values.append(x)
            elif kind == "conv":
                values.append(self.run_conv(l, v[0], params))
            elif kind == "deconv":
                w, b = next(params), next(params) if l["bias"] else None
                w = w if self.dims == 3 else w.unsqueeze(2)
                values.append(F.conv_transpose3d(v[0], w, b, stride=l["stride"]))
            elif kind == "norm":
                w, b = (next(params), next(params)) if l["bias"] else (None, None)
                values.append(F.instance_norm(v[0], weight=w, bias=b, eps=l["epsilon"]))
            elif kind == "act":
                f = [lambda t: t, torch.relu, lambda t: F.leaky_relu(t, l["slope"]),
                     torch.sigmoid, torch.tanh][l["act"]]
                values.append(f(v[0]))
            elif kind == "gate":
                feature, gate = v[0].chunk(2, dim=1)
                values.append(feature * torch.sigmoid(gate))
            elif kind == "pool":
                values.append(F.max_pool3d(v[0], l["stride"]))
            elif kind == "up":
                values.append(F.interpolate(v[0], scale_factor=l["stride"], mode="nearest"))
            elif kind == "mask":
                at = l["channel"]
                values.append(((v[0][:, at:at + 1] > 0) != bool(l["invert"])).double())
            elif kind == "window":
                ones = torch.ones(1, 1, *l["kernel"], dtype=torch.float64)
                count = self.convolve(l, v[0], ones, None)
                values.append(torch.where(count > 0, ones.numel() / count.clamp(min=1), 0.0))
            elif kind == "scale":
                b = next(params).view(-1, 1, 1, 1) if l["bias"] else 0.0
                values.append(v[0] * v[1] + b * (v[1] > 0))
            elif kind == "concat":
                values.append(torch.cat(v, dim=1))
            else:
                values.append(v[0] + v[1])
        return values

    def run_conv(self, l, x, params):
        w, b = next(params), next(params) if l["bias"] else None
        return self.convolve(l, x, w if self.dims == 3 else w.unsqueeze(2), b)

    @staticmethod
    def convolve(l, x, w, b):
        pads = []
        for axis in (2, 1, 0):
            k, s, d = l["kernel"][axis], l["stride"][axis], l["dilation"][axis]
            size = x.shape[2 + axis]
            if s == 1:
                low = d * (k - 1) // 2
                high = d * (k - 1) - low
            else:
                low = (k - s + 1) // 2
                high = k - s - low + (-size) % s
            pads += [low, high]
        x = F.pad(x, pads, mode="reflect" if l["pad"] else "constant")
        return F.conv3d(x, w, b, stride=l["stride"], dilation=l["dilation"])

    def text(self):
        lines = []
        for l in self.layers:
            numbers = [len(l["inputs"]), *l["inputs"], l["channels"], *l["kernel"], *l["stride"],
                       *l["dilation"], l["pad"], l["act"], l["slope"], l["epsilon"], l["bias"],
                       l["channel"], l["invert"], l["supervise"]]
            lines.append(" ".join([l["kind"], l["name"], *map(str, numbers)]))
        return lines


OPTIONS = dict(gamma=0.0, alpha=0.0, beta=0.0, first=0, channels=0)


def loss_terms(terms, z, t, w):
    """The losses' values before their factors."""
    total, ret, whole = w.sum(), [], (z, t)
    for kind, _, pos_weight, *options in terms:
        o = dict(OPTIONS, **(options[0] if options else {}))
        last = o["first"] + o["channels"] if o["channels"] else None
        z, t = (x[:, o["first"]:last] for x in whole)
        c = z.shape[1]
        if kind == "l1":
            ret.append((w * (z - t).abs()).sum() / (c * total))
        elif kind == "bce" or (kind == "ce" and c == 1):
            p = torch.tensor(pos_weight if kind == "bce" else 1.0, dtype=z.dtype)
            each = F.binary_cross_entropy_with_logits(z, t, pos_weight=p, reduction="none")
            ret.append((w * each).sum() / (c * total))
        elif kind == "focal":
            p = torch.tensor(pos_weight, dtype=z.dtype)
            each = F.binary_cross_entropy_with_logits(z, t, pos_weight=p, reduction="none")
            right = torch.where(t > 0.5, torch.sigmoid(z), torch.sigmoid(-z))
            ret.append((w * (1 - right) ** o["gamma"] * each).sum() / (c * total))
        elif kind == "ce":
            ret.append(-(w * t * F.log_softmax(z, dim=1)).sum() / total)
        else:
            q = torch.sigmoid(z) if c == 1 else torch.softmax(z, dim=1)
            scores = []
            for i in range(0 if c == 1 else 1, c):
                both = (w[:, 0] * q[:, i] * t[:, i]).sum()
                found, truth = (w[:, 0] * q[:, i]).sum(), (w[:, 0] * t[:, i]).sum()
                errors = o["alpha"] * (found - both) + o["beta"] * (truth - both)
                scores.append((2 * both + 1) / (found + truth + 1) if kind == "dice"
                              else (both + 1) / (both + errors + 1))
            ret.append(1 - torch.stack(scores).mean())
    return ret


def losses(net, terms, values, t, w):
    """The total, and the output's terms before their factors."""
    ret, total = [], 0.0
    for l, z in reversed(list(zip(net.layers, values))):
        if l["supervise"] or z is values[-1]:
            b = [n // s for n, s in zip(t.shape[2:], z.shape[2:])]
            few = lambda x: x[:, :, b[0] // 2::b[0], b[1] // 2::b[1], b[2] // 2::b[2]]
            each = loss_terms(terms, z, few(t), few(w))
            ret = ret or each
            total += (l["supervise"] or 1.0) * sum(o[1] * v for o, v in zip(terms, each))
    return total, ret


def optimizer_of(o, params):
    if o["kind"] == "adamw":
        return torch.optim.AdamW(params, lr=o["rate"], betas=(o["beta1"], o["beta2"]),
                                 eps=o["epsilon"], weight_decay=o["weight_decay"])
    if o["kind"] == "adam":
        return torch.optim.Adam(params, lr=o["rate"], betas=(o["beta1"], o["beta2"]),
                                eps=o["epsilon"], weight_decay=o["weight_decay"])
    return torch.optim.SGD(params, lr=o["rate"], momentum=o["momentum"],
                           nesterov=bool(o["nesterov"]), weight_decay=o["weight_decay"])


ADAM = dict(kind="adam", rate=0.01, beta1=0.9, beta2=0.99, epsilon=1e-6, momentum=0.0, nesterov=0,
            weight_decay=0.0, clip=0.0, average=0.0, trained="")
SGD = dict(ADAM, kind="sgd", rate=0.05, beta1=0.0, beta2=0.0, momentum=0.0)


def write(files, name, net, shape, terms=(("l1", 1.0, 1.0),), optimizer=SGD, weighted=False):
    rng = np.random.default_rng(abs(hash_name(name)))
    f32 = lambda a: torch.tensor(np.asarray(a, np.float32).astype(np.float64))
    params = net.parameters(rng)
    start = [p.detach().clone() for p in params]
    n, d, h, w = shape
    x = f32(rng.uniform(-1, 1, (n, net.layers[0]["channels"], d, h, w)))
    for owner, p in zip(net.owners, params):
        p.requires_grad_(owner.startswith(optimizer["trained"]))
    trained = [p for p in params if p.requires_grad]
    out = net.forward(x, params)[-1]
    kinds = {t[0] for t in terms}
    if kinds == {"l1"}:
        target = f32(rng.uniform(-1, 1, out.shape))
    elif out.shape[1] == 1:
        target = f32(rng.uniform(0, 1, out.shape) > 0.6)
    else:
        label = torch.tensor(rng.integers(0, out.shape[1], (n, *out.shape[2:])))
        target = F.one_hot(label, out.shape[1]).permute(0, 4, 1, 2, 3).double()
    weight = f32(rng.uniform(0, 2, (n, 1, *out.shape[2:]))) if weighted else None
    arrays = [x, target] + ([weight] if weighted else []) + start + [out]
    ones = torch.ones((n, 1, *out.shape[2:]), dtype=torch.float64)
    step = optimizer_of(optimizer, trained)
    gradient, average = [], [p.detach().clone() for p in params]
    for i in range(STEPS):
        step.zero_grad()
        total, values = losses(net, terms, net.forward(x, params), target,
                               weight if weighted else ones)
        total.backward()
        arrays += [total, *values]
        if i == 0:
            gradient = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in params]
        if optimizer["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(trained, optimizer["clip"])
        step.step()
        decay = min(float(np.float32(optimizer["average"])), (2 + i) / (11 + i))
        for a, p in zip(average, params):
            a.lerp_(p.detach(), 1 - decay)
    arrays += gradient + params + (average if optimizer["average"] else [])
    flat = np.concatenate([a.detach().numpy().ravel() for a in arrays])
    files[1].write(flat.astype("<f4").tobytes())
    o = optimizer
    lines = [f"case {name} {len(net.layers)} {len(terms)}", f"net {net.dims} {n} {net.layers[0]['channels']} {d} {h} {w} "
             f"{int(weighted)}",
             f"optimizer {o['kind']} {o['rate']} {o['beta1']} {o['beta2']} {o['epsilon']} "
             f"{o['momentum']} {o['nesterov']} {o['weight_decay']} {o['clip']} {o['average']} "
             f"{o['trained'] or '-'}"]
    for kind, factor, pos_weight, *options in terms:
        numbers = dict(OPTIONS, **(options[0] if options else {})).values()
        lines.append(" ".join(["loss", kind, *map(str, [factor, pos_weight, *numbers])]))
    files[0].write(("\n".join(lines + net.text()) + "\n").encode())


def hash_name(name):
    value = 0
    for c in name.encode():
        value = (value * 131 + c) % (1 << 31)
    return value


def around(dims, layer, channels=2, inner=3, head=2):
    """A convolution, the layer under test, a 1x1 head: so that gradients pass through the layer."""
    net = Net(dims, channels)
    x = layer(net, net.conv(0, inner, kernel=3))
    net.conv(x, head, kernel=1)
    return net


def block(net, x, channels):
    for _ in range(2):
        x = net.act(net.norm(net.conv(x, channels, bias=0)), "leaky", 0.01)
    return x


def unet(dims, width, levels, classes):
    net = Net(dims, 1)
    x, skips = 0, []
    for level in range(levels):
        x = net.simple("pool", x, 2) if level else x
        x = block(net, x, width << level)
        skips.append(x)
    for level in reversed(range(levels - 1)):
        x = net.deconv(x, width << level)
        x = block(net, net.join("concat", x, skips[level]), width << level)
    net.conv(x, classes, kernel=1)
    return net


def gated():
    net = Net(2, 2)
    gate = lambda x, c, **o: net.act(net.simple("gate", net.conv(x, 2 * c, pad=1, **o)),
                                     "leaky", 0.2)
    a = gate(0, 3, kernel=5)
    b = gate(a, 4, kernel=4, stride=2)
    c = gate(gate(b, 4, dilation=2), 4, dilation=3)
    d = gate(net.simple("up", c, 2), 3)
    net.act(net.conv(gate(net.join("concat", d, a), 3), 1, pad=1), "tanh")
    return net


def partial(dims):
    """Partial convolutions of every stride, dilation and border, with upsampled masks."""
    net = Net(dims, 2)
    m = net.mask(0, channel=1, invert=1)
    x, m = net.partial(0, m, 3, kernel=5, pad=1)
    skip, known = net.act(x, "leaky", 0.2), m
    x, m = net.partial(skip, m, 4, kernel=4, stride=2)
    x, m = net.partial(net.act(net.norm(x), "leaky", 0.2), m, 4, dilation=2)
    x, m = net.simple("up", net.act(x, "leaky", 0.2), 2), net.simple("up", m, 2)
    x, m = net.partial(net.join("concat", x, net.scale(skip, known)), m, 3)
    net.conv(net.scale(net.act(x, "tanh"), m), 1, pad=1)
    return net


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    with open(folder / "reference.net", "wb") as net, open(folder / "reference.f32", "wb") as f32:
        write_all((net, f32))


def write_all(files):
    s2, s3 = (2, 1, 6, 8), (1, 4, 6, 4)
    go = lambda name, net, shape=s2, **o: write(files, name, net, shape, **o)
    go("conv", around(2, lambda n, x: n.conv(x, 3)))
    go("conv_odd", around(2, lambda n, x: n.conv(x, 3, kernel=(1, 5, 2))), (2, 1, 7, 5))
    go("conv_stride", around(2, lambda n, x: n.conv(x, 3, kernel=4, stride=2)))
    go("conv_ceil", around(2, lambda n, x: n.conv(x, 3, kernel=3, stride=2)), (2, 1, 7, 5))
    go("conv_dilate", around(2, lambda n, x: n.conv(x, 3, dilation=2)))
    go("conv_reflect", around(2, lambda n, x: n.conv(x, 3, kernel=5, pad=1)))
    go("conv_reflect_stride", around(2, lambda n, x: n.conv(x, 3, 4, 2, pad=1)))
    go("conv3d", around(3, lambda n, x: n.conv(x, 3)), s3)
    go("conv3d_reflect", around(3, lambda n, x: n.conv(x, 3, dilation=(1, 2, 1), pad=1)), s3)
    go("deconv", around(2, lambda n, x: n.deconv(x, 3)))
    go("deconv3d", around(3, lambda n, x: n.deconv(x, 3, (2, 2, 3), bias=0), inner=3), (1, 2, 3, 3))
    go("norm", around(2, lambda n, x: n.norm(x)))
    go("norm_plain", around(3, lambda n, x: n.norm(x, affine=0)), s3)
    for act in ("relu", "leaky", "sigmoid", "tanh"):
        go(f"act_{act}", around(2, lambda n, x: n.act(x, act)))
        go(f"norm_{act}", around(2, lambda n, x: n.act(n.norm(x), act)))
    go("gate", around(2, lambda n, x: n.simple("gate", x), inner=4))
    go("pool", around(2, lambda n, x: n.simple("pool", x, 2)))
    go("pool3d", around(3, lambda n, x: n.simple("pool", x, (2, 3, 2))), s3)
    go("up", around(2, lambda n, x: n.simple("up", x, (1, 2, 3))), (1, 1, 4, 4))
    go("concat", around(2, lambda n, x: n.join("concat", x, n.act(n.conv(0, 3)), x)))
    go("add", around(2, lambda n, x: n.join("add", x, n.act(x, "tanh"))))
    for kind in ("l1", "bce", "ce", "dice"):
        for classes in (1, 3):
            for weighted in (False, True):
                go(f"loss_{kind}{classes}{'w' if weighted else ''}",
                   around(2, lambda n, x: n.act(x, "tanh"), head=classes),
                   terms=((kind, 1.5, 3.0),), weighted=weighted)
    mixed = (("ce", 1.0, 1.0), ("dice", 0.5, 1.0), ("bce", 0.3, 5.0), ("l1", 0.1, 1.0))
    go("loss_mixed", around(2, lambda n, x: n.act(x, "tanh"), head=3), terms=mixed, weighted=True)
    tanh = lambda: around(2, lambda n, x: n.act(x, "tanh"))
    go("adam", tanh(), optimizer=ADAM)
    go("adam_clip", tanh(), optimizer=dict(ADAM, weight_decay=0.1, clip=0.05))
    go("sgd_momentum", tanh(), optimizer=dict(SGD, momentum=0.9, weight_decay=0.02))
    go("sgd_nesterov", tanh(), optimizer=dict(SGD, momentum=0.9, nesterov=1, clip=0.1))
    both = (("ce", 1.0, 1.0), ("dice", 1.0, 1.0))
    go("unet", unet(2, 3, 3, 2), (2, 1, 16, 16), terms=both, optimizer=ADAM)
    go("unet3d", unet(3, 3, 2, 1), (1, 4, 8, 8), terms=(("bce", 1.0, 5.0),), optimizer=SGD)
    go("gated_unet", gated(), (2, 1, 16, 16), optimizer=ADAM, weighted=True)
    some = lambda n, x: n.scale(x, n.mask(0, channel=1), bias=1)
    go("mask", around(2, lambda n, x: n.scale(x, n.mask(0, channel=1, invert=1))))
    go("scale_bias", around(2, some, inner=5))
    go("scale_bias3d", around(3, some, inner=8), s3)
    go("partial", partial(2), (2, 1, 16, 16), optimizer=SGD, weighted=True)
    go("partial3d", partial(3), (1, 6, 8, 8), optimizer=SGD)
    write_training(go, tanh)


def supervised(dims):
    """Heads of half and of full size, one of which leads on to the output."""
    net = Net(dims, 1)
    high = net.act(net.norm(net.conv(0, 4, bias=0)), "tanh")
    low = net.act(net.norm(net.conv(net.simple("pool", high, 2), 5, bias=0)), "tanh")
    half, full = net.conv(low, 3, kernel=1), net.conv(high, 3, kernel=1)
    net.layers[half]["supervise"], net.layers[full]["supervise"] = 0.5, 0.25
    x = net.join("concat", net.deconv(low, 4), net.simple("up", half, 2), high)
    net.conv(net.act(net.conv(x, 4), "tanh"), 3, kernel=1)
    return net


def write_training(go, tanh):
    """Losses of newer kinds and over channels, AdamW, averages, frozen and supervised layers."""
    focal, tversky = dict(gamma=2.0), dict(alpha=0.3, beta=0.7)
    for kind, options in (("focal", focal), ("tversky", tversky)):
        for classes in (1, 3):
            go(f"loss_{kind}{classes}", around(2, lambda n, x: n.act(x, "tanh"), head=classes),
               terms=((kind, 1.5, 3.0, options),), weighted=classes == 3)
    ranges = (("ce", 1.0, 1.0, dict(channels=3)), ("focal", 0.7, 2.0, dict(focal, first=3)),
              ("tversky", 0.5, 1.0, dict(tversky, channels=3)), ("dice", 0.4, 1.0, dict(first=4)))
    go("loss_ranges", around(2, lambda n, x: n.act(x, "tanh"), head=5), terms=ranges, weighted=True)
    adamw = dict(ADAM, kind="adamw", weight_decay=0.1)
    go("adamw", tanh(), optimizer=adamw)
    go("adamw_average", tanh(), optimizer=dict(adamw, clip=0.05, average=0.9))
    go("sgd_average", tanh(), optimizer=dict(SGD, momentum=0.9, average=0.2))
    both = (("ce", 1.0, 1.0), ("tversky", 1.0, 1.0, tversky))
    frozen = dict(adamw, clip=0.2, average=0.75)
    for trained in ("conv1", "conv19", "norm", "deconv"):
        go(f"frozen_{trained}", unet(2, 3, 2, 2), (2, 1, 8, 8), terms=both,
           optimizer=dict(frozen, trained=trained))
    go("supervised", supervised(2), (2, 1, 8, 12), terms=ranges[:1] + both[1:], weighted=True,
       optimizer=adamw)
    go("supervised3d", supervised(3), (1, 4, 6, 8), terms=both,
       optimizer=dict(adamw, average=0.9))


if __name__ == "__main__":
    main()
