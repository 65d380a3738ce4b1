#!/usr/bin/env python3
"""The same network in PyTorch on the CPU: the peer of bench-nn.

usage: torch_nn.py NET.json [--layout contiguous|channels_last] [--mode eager|compile] [--batch N]
                   [--size N] [--threads N] [--memory train|forward]

NET.json is what `bench-nn --describe` prints. Answers "train" and "forward" on its input with the
milliseconds of one; --memory prints by how many bytes two of them let the process grow, over what
it held when PyTorch had run a small network already.
"""
import argparse
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'python'))
import hepaflow_torch  # pylint: disable=wrong-import-position


def status(key):
    with open('/proc/self/status', encoding='utf-8') as f:
        return next(1024 * int(line.split()[1]) for line in f if line.startswith(key))


class Peer:
    """A network with its data and optimiser."""

    def __init__(self, description, a, size, batch):
        dims = description['dims']
        last = torch.channels_last if dims == 2 else torch.channels_last_3d
        layout = last if a.layout == 'channels_last' else torch.contiguous_format
        self.net = hepaflow_torch.Network(description).to(memory_format=layout)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        shape = (batch, description['layers'][0]['channels']) + dims * (size,)
        self.x = torch.rand(shape).to(memory_format=layout)
        self.target = (torch.rand((batch, 1) + dims * (size,)) < 0.1).float()
        self.compute, self.infer = self.loss, self.net
        if a.mode == 'compile':
            self.compute, self.infer = (
                torch.compile(part, dynamic=False) for part in (self.loss, self.net))

    def loss(self, x, target):
        z = self.net(x)
        q = torch.sigmoid(z)
        dice = 1 - (2 * (q * target).sum() + 1) / (q.sum() + target.sum() + 1)
        return F.binary_cross_entropy_with_logits(z, target) + dice

    def train(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.compute(self.x, self.target).backward()
        self.optimizer.step()

    def forward(self):
        with torch.no_grad():
            self.infer(self.x)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1][7:])
    p.add_argument('net')
    p.add_argument('--layout', default='channels_last', choices=('contiguous', 'channels_last'))
    p.add_argument('--mode', default='eager', choices=('eager', 'compile'))
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--size', type=int, default=128)
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--memory', choices=('train', 'forward'))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(66)
    with open(a.net, encoding='utf-8') as f:
        description = json.load(f)
    if a.memory:
        small = Peer(description, a, 32, 1)  # loads what PyTorch loads at the first use
        getattr(small, a.memory)()
        with open('/proc/self/clear_refs', 'w', encoding='utf-8') as f:
            f.write('5')  # the peak begins here
        before = status('VmRSS:')
    peer = Peer(description, a, a.size, a.batch)
    if a.memory:
        for _ in range(2):
            getattr(peer, a.memory)()
        print(json.dumps({'grown': status('VmHWM:') - before}))
        return
    for _ in range(2):  # compiles too
        peer.train()
        peer.forward()
    build = torch.__config__.show()
    onednn = build.split('MKL-DNN) v' if 'MKL-DNN) v' in build else 'MKL-DNN v')[1].split()[0]
    print(json.dumps({'is': f'PyTorch {torch.__version__}, oneDNN {onednn}'}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        getattr(peer, line.strip())()
        print(f'{(time.perf_counter() - start) * 1e3:.4f}', flush=True)


main()
