#!/usr/bin/env python3
"""Times the same network's training step in PyTorch: the peer of bench-step.

usage: torch_step.py NET.json [--device cuda|cpu] [--precision f32|tf32|bf16] [--mode eager|compile]
                     [--batch N] [--size N] [--steps N] [--loss bce+dice|l1]

NET.json is what `bench-step GRAPH STAGE --describe` prints. Eager runs as PyTorch's own guides
advise: channels_last, autocast for bf16, cudnn.benchmark, fused Adam, no synchronisation in the
loop; compile adds torch.compile with CUDA graphs (mode "reduce-overhead"). Prints one JSON object.
"""
import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'python'))
import hepaflow_torch  # pylint: disable=wrong-import-position


def loss_of(name, z, target):
    z = z.float()
    if name == 'l1':
        return F.l1_loss(z, target)
    q = torch.sigmoid(z)
    dice = 1 - (2 * (q * target).sum() + 1) / (q.sum() + target.sum() + 1)
    return F.binary_cross_entropy_with_logits(z, target) + dice


def parse():
    p = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1][7:])
    p.add_argument('net')
    p.add_argument('--device', default='cuda')
    p.add_argument('--precision', default='bf16', choices=('f32', 'tf32', 'bf16'))
    p.add_argument('--mode', default='eager', choices=('eager', 'compile'))
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--size', type=int, default=128)
    p.add_argument('--steps', type=int, default=50)
    p.add_argument('--loss', default='bce+dice', choices=('bce+dice', 'l1'))
    return p.parse_args()


def main():
    a = parse()
    if a.device == 'cuda' and not torch.cuda.is_available():
        sys.exit('torch_step.py: PyTorch sees no GPU')
    torch.backends.cudnn.benchmark = True
    tf32 = a.precision == 'tf32'
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.manual_seed(66)
    with open(a.net, encoding='utf-8') as f:
        description = json.load(f)
    layers = description['layers']
    device = torch.device(a.device)
    net = hepaflow_torch.Network(description).to(device).to(memory_format=torch.channels_last)
    fused = device.type == 'cuda'
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    shape = (a.batch, layers[0]['channels'], a.size, a.size)
    x = torch.rand(shape, device=device).to(memory_format=torch.channels_last)
    target = torch.rand((a.batch, layers[-1]['channels'], a.size, a.size), device=device)
    if a.loss != 'l1':
        target = (target < 0.1).float()
    autocast = torch.autocast(a.device, torch.bfloat16, enabled=a.precision == 'bf16')

    def compute(batch, truth):
        with autocast:
            z = net(batch)
        return loss_of(a.loss, z, truth)

    if a.mode == 'compile':
        compute = torch.compile(compute, mode='reduce-overhead' if fused else 'default')

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = compute(x, target)
        loss.backward()
        optimizer.step()
        return loss

    def infer():
        with torch.no_grad(), autocast:
            return net(x)

    def wait():
        if fused:
            torch.cuda.synchronize()

    def measure(run):
        def group(n):
            wait()
            start = time.perf_counter()
            for _ in range(n):
                run()
            wait()
            return (time.perf_counter() - start) * 1e3 / n
        group(10)
        once = group(10)
        each = int(20 / once) + 1
        count = max(15, -(-a.steps // each))
        ms = sorted(group(each) for _ in range(count))
        return {'median_ms': statistics.median(ms), 'q1_ms': ms[count // 4],
                'q3_ms': ms[3 * count // 4], 'steps': count * each}

    if fused:
        torch.cuda.reset_peak_memory_stats()
    losses = [step().item() for _ in range(5)]
    result = {'peer': f'PyTorch {torch.__version__}', 'mode': a.mode, 'precision': a.precision,
              'device': torch.cuda.get_device_name() if fused else 'cpu',
              'parameters': sum(p.numel() for p in net.parameters()),
              'batch': a.batch, 'size': a.size, 'losses': losses, 'train': measure(step),
              'forward': measure(infer)}
    if fused:
        result['cudnn'] = torch.backends.cudnn.version()
        result['bytes'] = torch.cuda.max_memory_allocated()
    print(json.dumps(result))


main()
