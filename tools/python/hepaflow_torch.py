#!/usr/bin/env python3
"""hepaflow's networks in PyTorch: a torch.nn.Module from a checkpoint, or from a description.

    import hepaflow_torch
    net = hepaflow_torch.load('model.safetensors')       # a Module with the checkpoint's parameters
    z = net(torch.rand(1, 2, 256, 256))                  # [N,C,H,W], or [N,C,D,H,W] for dims 3

    hepaflow_torch.py MODEL INPUT.npy OUTPUT.npy         # the same from a shell, in float32

A checkpoint of `train` is a safetensors file whose metadata hold the network's description; only
PyTorch and NumPy are needed to read it. The modules of the network are named as its layers, so that
`net.state_dict()` has the checkpoint's names, and parameters and their order are the checkpoint's.
What the network yields are logits; `net.activation` names what `segment`, `spot` and `inpaint` put
behind them ("none", "sigmoid", "softmax").
"""
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def read(path):
    """(description, model's notes, {name: array}) of a checkpoint."""
    with open(path, 'rb') as f:
        data = f.read()
    size, = struct.unpack('<Q', data[:8])
    header = json.loads(data[8:8 + size])
    meta = header.pop('__metadata__', {})
    if 'hepaflow.network' not in meta:
        raise ValueError(f'{path}: its metadata name no hepaflow network')
    arrays = {}
    for name, entry in header.items():
        begin, end = (8 + size + at for at in entry['data_offsets'])
        arrays[name] = np.frombuffer(data[begin:end], '<f4').reshape(entry['shape']).copy()
    return json.loads(meta['hepaflow.network']), json.loads(meta['hepaflow.model']), arrays


def load(path):
    """The network of a checkpoint, with its parameters, in evaluation mode."""
    description, model, arrays = read(path)
    net = Network(description)
    net.activation = model['activation']
    net.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    return net.eval()


class Conv(nn.Module):
    """Convolution to size ceil(in / stride), zero padded or mirrored without the border voxel."""

    def __init__(self, layer, dims, channels):
        super().__init__()
        self.kernel, self.stride, self.dilation = (
            layer[key][3 - dims:] for key in ('kernel', 'stride', 'dilation'))
        self.reflect = layer.get('pad') == 'reflect'
        self.run = F.conv2d if dims == 2 else F.conv3d
        self.weight = nn.Parameter(torch.empty(layer['channels'], channels, *self.kernel))
        nn.init.kaiming_normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(layer['channels'])) if layer.get('bias') else None

    def pads(self, size):
        """Low and high of every axis."""
        ret = []
        for n, k, s, d in zip(size, self.kernel, self.stride, self.dilation):
            k = d * (k - 1) + 1
            low = (k - 1) // 2 if s == 1 else max(0, (k - s + 1) // 2)
            ret.append((low, (-(-n // s) - 1) * s + k - n - low))
        return ret

    def padded(self, x):
        """x, and the padding that is left to the convolution itself."""
        pads = self.pads(x.shape[2:])
        if not self.reflect and all(low == high for low, high in pads):
            return x, [low for low, _ in pads]
        # Axes in reverse, as F.pad counts; a negative pad cuts what no window reaches.
        flat = [v for pair in reversed(pads) for v in pair]
        if self.reflect and min(flat) >= 0:
            return F.pad(x, flat, mode='reflect'), 0
        if self.reflect:
            x = F.pad(x, [max(v, 0) for v in flat], mode='reflect')
            flat = [min(v, 0) for v in flat]
        return F.pad(x, flat), 0

    def forward(self, x):
        x, pad = self.padded(x)
        return self.run(x, self.weight, self.bias, self.stride, pad, self.dilation)


class Window(Conv):
    """Voxels of a window over voxels of the mask in it; 0 where the mask has none there."""

    def __init__(self, layer, dims):
        super().__init__(dict(layer, channels=1, bias=False), dims, 1)
        del self.weight
        self.register_buffer('ones', torch.ones(1, 1, *self.kernel), persistent=False)

    def forward(self, x):
        x, pad = self.padded(x)
        count = self.run(x, self.ones, None, self.stride, pad, self.dilation)
        return torch.where(count > 0, self.ones.numel() / count.clamp(min=1), count)


class Scale(nn.Module):
    """x times a map of one channel, plus a bias where the map is above 0."""

    def __init__(self, layer):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(layer['channels'])) if layer.get('bias') else None

    def forward(self, x, by):
        if self.bias is None:
            return x * by
        return x * by + self.bias.view(-1, *[1] * (x.dim() - 2)) * (by > 0)


class Norm(nn.Module):
    """Instance normalisation."""

    def __init__(self, layer):
        super().__init__()
        self.epsilon = layer['epsilon']
        c = layer['channels'] if layer.get('bias') else 0
        self.scale = nn.Parameter(torch.ones(c)) if c else None
        self.shift = nn.Parameter(torch.zeros(c)) if c else None

    def forward(self, x):
        return F.instance_norm(x, weight=self.scale, bias=self.shift, eps=self.epsilon)


class Deconv(nn.Module):
    """Transposed convolution whose kernel is its stride."""

    def __init__(self, layer, dims, channels):
        super().__init__()
        self.stride = layer['stride'][3 - dims:]
        self.run = F.conv_transpose2d if dims == 2 else F.conv_transpose3d
        self.weight = nn.Parameter(torch.empty(channels, layer['channels'], *self.stride))
        nn.init.kaiming_normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(layer['channels'])) if layer.get('bias') else None

    def forward(self, x):
        return self.run(x, self.weight, self.bias, self.stride)


class Call(nn.Module):
    """A layer without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def gate(x):
    feature, by = x.chunk(2, dim=1)
    return feature * torch.sigmoid(by)


def activation(layer, alone):
    """`alone`: nothing else reads its input, which it may then overwrite."""
    kind, slope = layer.get('act', 'none'), layer.get('slope', 0)
    return {'none': lambda x: x, 'relu': lambda x: F.relu(x, alone),
            'leaky': lambda x: F.leaky_relu(x, slope, alone),
            'sigmoid': torch.sigmoid, 'tanh': torch.tanh}[kind]


def mask(layer):
    at, inverted = layer.get('channel', 0), layer.get('invert', False)
    return lambda x: ((x[:, at:at + 1] > 0) != inverted).to(x.dtype)


def take(layer):
    at = layer.get('channel', 0)
    return lambda x: x[:, at:at + layer['channels']]


class Network(nn.Module):
    """A network from its description (the metadata "hepaflow.network")."""

    def __init__(self, description):
        super().__init__()
        self.dims = description['dims']
        self.layers = description['layers']
        self.activation = 'none'
        for l in self.layers[1:]:
            # "down0.conv1" is the module conv1 of the module down0, as PyTorch's names go.
            *folders, name = l['name'].split('.')
            where = self
            for folder in folders:
                if not hasattr(where, folder):
                    where.add_module(folder, nn.Module())
                where = getattr(where, folder)
            where.add_module(name, self.module(l))
        self.order = [(self.get_submodule(l['name']), l['inputs']) for l in self.layers[1:]]

    def module(self, l):
        kind, dims = l['kind'], self.dims
        stride = tuple(l['stride'][3 - dims:])
        first = self.layers[l['inputs'][0]]['channels']
        if kind == 'conv':
            return Conv(l, dims, first)
        if kind == 'deconv':
            return Deconv(l, dims, first)
        if kind == 'norm':
            return Norm(l)
        if kind == 'window':
            return Window(l, dims)
        if kind == 'scale':
            return Scale(l)
        pool = F.max_pool2d if dims == 2 else F.max_pool3d
        uses = sum(other['inputs'].count(l['inputs'][0]) for other in self.layers)
        alone = uses == 1 and self.layers[l['inputs'][0]]['kind'] in ('conv', 'norm')
        simple = {'act': activation(l, alone), 'gate': gate, 'mask': mask(l), 'take': take(l),
                  'pool': lambda x: pool(x, stride),
                  'up': lambda x: F.interpolate(x, scale_factor=[float(s) for s in stride]),
                  'concat': lambda *x: torch.cat(x, dim=1), 'add': lambda a, b: a + b}
        if kind not in simple:
            raise ValueError(f'layer "{l["name"]}": unknown kind "{kind}"')
        return Call(simple[kind])

    def forward(self, x):
        values = [x]
        for module, inputs in self.order:
            values.append(module(*[values[i] for i in inputs]))
        return values[-1]


def main():
    if len(sys.argv) != 4:
        sys.exit('usage: hepaflow_torch.py MODEL.safetensors INPUT.npy OUTPUT.npy')
    net = load(sys.argv[1])
    x = torch.from_numpy(np.load(sys.argv[2]))
    flat = net.dims == 2 and x.dim() == 5  # [N,C,1,H,W], as hepaflow has slices
    with torch.no_grad():
        z = net(x[:, :, 0] if flat else x)
    np.save(sys.argv[3], (z[:, :, None] if flat else z).numpy())


if __name__ == '__main__':
    main()
