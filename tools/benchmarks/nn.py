"""Training step and inference of U-Nets on the CPU, beside PyTorch.

A 2D U-Net (8 slices of 128x128 with 2 channels, 32 to 256 channels wide) and a 3D one (a patch of
64x64x64, 16 to 128 channels), float32: four levels, two 3x3 convolutions with instance norm and
leaky ReLU each, max pooling, transposed convolutions; BCE and Dice, Adam. The peer is the same
network from the same description in PyTorch, eager in both memory layouts and compiled. All run
with the same number of threads, each in a process of its own, and take turns, one step or pass at a
time, so that whatever else the machine does hits all alike. Times are medians of the rounds (the
minimum is in nn.json too). Memory is by how much the process's resident peak grows from before the
network, its data and two steps to after them; PyTorch has run a small network by then.
"""
import json
import os
import shlex
import statistics
import subprocess

from common import HERE, PYTHON, TOP, Programs, no_result, run_json, say

PEERS = (('eager', 'channels_last'), ('eager', 'contiguous'), ('compile', 'channels_last'))


def options(p):
    p.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)),
                   help='of all programs (the cores that there are)')
    p.add_argument('--rounds', type=int, default=20, help='steps and passes of each (20)')
    p.add_argument('--build', metavar='DIR', help='take bench-nn of this build folder (build/)')
    p.add_argument('--program', action='append', default=[], metavar='NAME=COMMAND',
                   help='another bench-nn beside it: one of a build against another oneDNN')
    p.add_argument('--isa', action='append', default=[], choices=('scalar', 'avx2', 'avx512'),
                   help="also with kernels and oneDNN of this instruction set at most")
    p.add_argument('--dims', type=int, choices=(2, 3), help='only this network')


def shapes(a):
    """Words for the table, and the arguments of bench-nn."""
    if a.quick:
        both = [('2D, 2x2x32²', 2, 2, 2, 32, 8), ('3D, 1x1x32³', 3, 1, 1, 32, 4)]
    else:
        both = [('2D, 8x2x128²', 2, 8, 2, 128, 32), ('3D, 1x1x64³', 3, 1, 1, 64, 16)]
    return [s for s in both if a.dims in (None, s[1])]


class Player:
    """A program that takes its turns."""

    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env
        self.times = {'train': [], 'forward': []}
        self.process, self.error, self.what = None, None, {}

    def start(self):
        say('  ' + ' '.join(self.command))
        self.process = subprocess.Popen(self.command, env=self.env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if line.startswith('{'):
            self.what = json.loads(line)
        else:
            why = self.process.communicate()[1].strip().splitlines() or ['it printed nothing']
            self.error = no_result(why[-1])

    def turn(self, word, counts):
        if self.error:
            return
        try:
            self.process.stdin.write(word + '\n')
            self.process.stdin.flush()
            ms = float(self.process.stdout.readline())
        except (OSError, ValueError):
            self.error = no_result(f'{self.name} stopped')
            return
        if counts:
            self.times[word].append(ms)

    def finish(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()

    def memory(self, word):
        return run_json(self.command + ['--memory', word], self.env)

    def report(self):
        if self.error:
            return dict(self.error, name=self.name)
        row = dict(self.what, name=self.name)
        for word, ms in self.times.items():
            row[word] = {'median_ms': statistics.median(ms), 'min_ms': min(ms), 'ms': ms,
                         'memory': self.memory(word)}
        return row


def players(a, bench, net, shape):
    """All programs for one network, ours first."""
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))
    env.setdefault('GOMP_SPINCOUNT', '1000')  # as `hepaflow` has it
    numbers = ['--batch', str(shape[2]), '--size', str(shape[4]), '--threads', str(a.threads)]
    ours = ['--dims', str(shape[1]), '--channels', str(shape[3]), '--width', str(shape[5])] + numbers
    found = [Player('hepaflow', [bench] + ours, env)]
    for text in a.program:
        name, command = text.split('=', 1)
        found.append(Player('hepaflow, ' + name, shlex.split(command) + ours, env))
    caps = {'scalar': ('1', 'SSE41'), 'avx2': ('2', 'AVX2'), 'avx512': ('3', 'AVX512_CORE')}
    for isa in a.isa:
        kernels, cap = caps[isa]
        found.append(Player('hepaflow, ' + isa, [bench] + ours + ['--isa', kernels],
                            dict(env, ONEDNN_MAX_CPU_ISA=cap, DNNL_MAX_CPU_ISA=cap)))
    peer = [PYTHON, os.path.join(HERE, 'torch_nn.py'), net] + numbers
    for mode, layout in PEERS:
        found.append(Player(f'PyTorch {mode}, {layout}',
                            peer + ['--mode', mode, '--layout', layout], env))
    return found


def measure(a):
    bench = os.path.join(a.build or os.path.join(TOP, 'build'), 'tests', 'nn', 'bench-nn')
    Programs(build=a.build, targets=['tests/nn/bench-nn'])
    rows = []
    for shape in shapes(a):
        say(shape[0])
        net = os.path.join(a.out, f'unet{shape[1]}d.json')
        with open(net, 'w', encoding='utf-8') as f:
            subprocess.run([bench, '--describe', '--dims', str(shape[1]), '--channels',
                            str(shape[3]), '--width', str(shape[5])], stdout=f, check=True)
        field = players(a, bench, net, shape)
        for p in field:
            p.start()
        for i in range(-2, 2 if a.quick else a.rounds):
            for word in ('train', 'forward'):
                for p in field:
                    p.turn(word, i >= 0)
        for p in field:
            p.finish()
        rows.append({'network': shape[0], 'programs': [p.report() for p in field]})
    return {'threads': a.threads, 'networks': rows}


def cells(row, word, first):
    """Milliseconds and MiB of a program, and what ours needs against it."""
    if 'error' in row:
        return 'not measured | | | '
    ms, grown = row[word]['median_ms'], row[word]['memory'].get('grown')
    base = None if 'error' in first else first[word]
    text = f'{ms:.1f} | ' + (f'{ms / base["median_ms"]:.2f} | ' if base else '| ')
    if not grown:
        return text + 'not measured | '
    least = base['memory'].get('grown') if base else None
    return text + f'{grown / (1 << 20):.0f} | ' + (f'{grown / least:.2f}' if least else '')


def table(results):
    lines = []
    for net in results['networks']:
        programs = net['programs']
        first = programs[0]
        what = '; '.join(dict.fromkeys(p['is'] for p in programs if 'is' in p))
        if not lines:
            lines = [f'Measured {results["date"]} on {results["machine"]}, {results["threads"]} '
                     f'threads: {what}. Command: `{results["command"]}`. The ratios are against the '
                     'first row.', '']
        for word, name in (('train', 'training step'), ('forward', 'inference')):
            lines += [f'| {net["network"]}, {name} | ms, median | time ratio | peak MiB | '
                      'memory ratio |', '| --- | --- | --- | --- | --- |']
            lines += [f'| {p["name"]} | {cells(p, word, first)} |' for p in programs]
            lines.append('')
    return '\n'.join(lines)


def failed(results):
    return any('error' in n['programs'][0] for n in results['networks'])
