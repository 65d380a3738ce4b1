"""Lesions of tumor_synthesis's method `ellipsoid`, drawn into a volume, beside NumPy and SciPy.

The volume has 128x192x192 voxels of 1 mm, a third of them liver. Both programs draw volumes of each
type (tiny, small, medium, large, and a mix of them) in turn, each in a process of its own and in
one thread. They draw from the same distributions, not the same lesions, so that the mean over the
volumes of a type is what compares. Processor time is the fairer measure on a machine that has other
things to do. What they drew is told too: voxels of lesion, and mean and standard deviation of its
change in HU.
"""
import json
import os
import statistics
import subprocess

from common import HERE, PYTHON, TOP, Programs, no_result, run_json, say

TYPES = ('tiny', 'small', 'medium', 'large', 'mix')


def options(p):
    p.add_argument('--build', metavar='DIR', help='take bench-synthesis of this build folder')
    p.add_argument('--rounds', type=int, default=10, help='volumes of each type (10)')


class Player:
    """A program that draws a volume when told to."""

    def __init__(self, command):
        say('  ' + ' '.join(command))
        env = dict(os.environ, OMP_NUM_THREADS='1')
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=env)
        self.drawn = {name: [] for name in TYPES}

    def draw(self, kind, seed, counts):
        self.process.stdin.write(f'{kind} {seed}\n')
        self.process.stdin.flush()
        row = json.loads(self.process.stdout.readline())
        if counts:
            self.drawn[TYPES[kind]].append(row)

    def finish(self):
        self.process.stdin.close()
        self.process.wait()
        return {name: {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
                for name, rows in self.drawn.items()}


def measure(a):
    build = a.build or os.path.join(TOP, 'build')
    Programs(build=build, targets=['tools/bench-synthesis',
                                   'stages/tumor_synthesis/tumor_synthesis.so'])
    size = [str(n) for n in ((40, 64, 64) if a.quick else (128, 192, 192))]
    results = {'size': 'x'.join(size)}
    folder = os.path.join(a.out, 'synthesis')
    os.makedirs(folder, exist_ok=True)
    module = os.path.join(build, 'stages', 'tumor_synthesis', 'tumor_synthesis.so')
    players = {'hepaflow': Player([os.path.join(build, 'tools', 'bench-synthesis'), module, folder,
                                   *size])}
    players['hepaflow'].draw(0, 0, False)  # the volume is there now
    peer = [PYTHON, os.path.join(HERE, 'numpy_synthesis.py')]
    results['versions'] = run_json(peer + ['--version'])
    if 'error' in results['versions']:
        results['peer'] = no_result(results['versions']['error'])
    else:
        players['peer'] = Player(peer + [folder, *size])
    for seed in range(-1, 2 if a.quick else a.rounds):
        for kind in range(len(TYPES)):
            for player in players.values():
                player.draw(kind, seed + 1, seed >= 0)
    for name, player in players.items():
        results[name] = player.finish()
    return results


def table(r):
    text = (f'Lesions in a volume of {r["size"]} voxels, one thread each. {r["machine"]}, '
            f'{r["date"]}. Command: `{r["command"]}`.\n\n')
    ours, peer = r['hepaflow'], r['peer']
    if 'error' in peer:
        return text + f'NumPy and SciPy: not measured, {peer["error"]}\n'
    text += (f'| type | hepaflow, ms | NumPy {r["versions"]["numpy"]} and SciPy '
             f'{r["versions"]["scipy"]}, ms | ratio | by processor time | lesion, ml | change, HU |\n'
             '| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n')

    def mean(rows, key):
        return statistics.mean(row[key] for row in rows.values())

    for name in TYPES:
        a, b = ours[name], peer[name]
        text += (f'| {name} | {a["ms"]:.1f} | {b["ms"]:.0f} | {b["ms"] / a["ms"]:.1f} | '
                 f'{b["cpu_ms"] / a["cpu_ms"]:.1f} | {a["voxels"] / 1e3:.1f}, '
                 f'{b["voxels"] / 1e3:.1f} | {a["hu"]:.1f}, {b["hu"]:.1f} |\n')
    a, b = ({key: mean(rows, key) for key in ('ms', 'cpu_ms')} for rows in (ours, peer))
    return text + (f'| all | {a["ms"]:.1f} | {b["ms"]:.0f} | {b["ms"] / a["ms"]:.1f} | '
                   f'{b["cpu_ms"] / a["cpu_ms"]:.1f} | | |\n')
