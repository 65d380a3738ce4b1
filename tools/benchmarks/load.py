"""Reading a scan from its file to canonical float32, beside nibabel.

The scan is --file, or else a made one of 512x512x129 voxels of int16, stored from right to left and
from front to back, that compresses about as a CT does: to half, most of it noise. The peer is
numpy.asarray(as_closest_canonical(nibabel.load(FILE)).dataobj, numpy.float32). Both read the file
from the system's cache, each in a process of its own, and take turns; their voxels must be the same.
In a run, a case goes into memory that held one before it: that is the first row. In the second, each
read asks the system for new memory, as nibabel must. Processor time is the fairer measure on a
machine that has other things to do.
"""
import filecmp
import gzip
import json
import os
import random
import statistics
import struct
import subprocess

from common import HERE, PYTHON, TOP, Programs, no_result, run_json, say

SIZE = (512, 512, 129)


def options(p):
    p.add_argument('--build', metavar='DIR', help='take bench-load of this build folder (build/)')
    p.add_argument('--file', help='a .nii.gz of your own')
    p.add_argument('--rounds', type=int, default=15, help='reads of each (15)')


def make_scan(path, size):
    """A body of soft tissue with noise in air with less of it, LPS, int16."""
    nx, ny, nz = size
    r = random.Random(66)
    air = [struct.pack('<h', -1000 + int(r.gauss(0, 6))) for _ in range(1 << 14)]
    body = [struct.pack('<h', int(r.gauss(60, 18))) for _ in range(1 << 14)]
    header = bytearray(352)
    struct.pack_into('<i', header, 0, 348)
    struct.pack_into('<8h', header, 40, 3, nx, ny, nz, 1, 1, 1, 1)
    struct.pack_into('<hh', header, 70, 4, 16)
    struct.pack_into('<8f', header, 76, 1, .7, .7, 1.5, 1, 1, 1, 1)
    struct.pack_into('<ff', header, 108, 352, 1)
    struct.pack_into('<hh', header, 252, 0, 1)
    struct.pack_into('<12f', header, 280, -.7, 0, 0, 180, 0, -.7, 0, 180, 0, 0, 1.5, 0)
    header[344:348] = b'n+1\0'
    with gzip.open(path, 'wb', compresslevel=6) as f:
        f.write(header)
        for _ in range(nz):
            for y in range(ny):
                half = int(nx * .42 * max(0, 1 - ((y - ny / 2) / (ny * .36)) ** 2) ** .5)
                low = nx // 2 - half
                row = r.choices(air, k=low) + r.choices(body, k=2 * half)
                f.write(b''.join(row + r.choices(air, k=nx - len(row))))


class Player:
    """A program that reads the scan when told to."""

    def __init__(self, command):
        say('  ' + ' '.join(command))
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, line):
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
        except OSError:
            return None
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else None

    def finish(self):
        self.process.stdin.close()
        self.process.wait()


def summary(times):
    clock, processor = [t[0] for t in times], [t[1] for t in times]
    return {'median_ms': statistics.median(clock), 'min_ms': min(clock),
            'cpu_median_ms': statistics.median(processor), 'cpu_min_ms': min(processor)}


def measure(a):
    tree = a.build or os.path.join(TOP, 'build')
    Programs(build=a.build, targets=['tools/bench-load'])
    if not a.build:
        subprocess.run(['ninja', '-C', tree, 'tools/bench-load'], check=True,
                       stdout=subprocess.DEVNULL)
    size = (128, 128, 33) if a.quick else SIZE
    path = a.file
    if not path:
        path = os.path.join(a.out, 'scan-{}x{}x{}.nii.gz'.format(*size))
        if not os.path.exists(path):
            say('  making ' + path)
            make_scan(path + '.part', size)
            os.rename(path + '.part', path)
    peer = [PYTHON, os.path.join(HERE, 'nibabel_load.py')]
    results = {'bytes': os.path.getsize(path), 'peer': run_json(peer + ['--version'])}
    ours = Player([os.path.join(tree, 'tools', 'bench-load'), path])
    theirs = None if 'error' in results['peer'] else Player(peer + [path])
    files = [os.path.join(a.out, name) for name in ('load-ours.f32', 'load-theirs.f32')]
    results['shape'] = ours.ask('write ' + files[0])
    if not results['shape']:
        raise SystemExit('bench-load could not read ' + path)
    if theirs:
        results['same'] = (theirs.ask('write ' + files[1]) == results['shape'] and
                           filecmp.cmp(files[0], files[1], shallow=False))
        os.remove(files[1])
    os.remove(files[0])
    times = {'read': [], 'fresh': [], 'peer': []}
    for _ in range(3 if a.quick else a.rounds):
        times['read'].append(ours.ask('read'))
        times['fresh'].append(ours.ask('fresh'))
        if theirs:
            times['peer'].append(theirs.ask('read'))
    ours.finish()
    results['read'], results['fresh'] = summary(times['read']), summary(times['fresh'])
    if theirs:
        theirs.finish()
        results['nibabel'] = summary(times['peer'])
    else:
        results['nibabel'] = no_result(results['peer']['error'])
    return results


def table(r):
    d, h, w = r['shape']
    text = (f'Reading {w}x{h}x{d} voxels from a .nii.gz of {r["bytes"] / 1e6:.0f} MB to canonical '
            f'float32. {r["machine"]}, {r["date"]}.\n\n'
            '| program | median, ms | processor, ms | nibabel / this | by processor time |\n'
            '| --- | ---: | ---: | ---: | ---: |\n')
    peer = r['nibabel']
    names = {'read': 'hepaflow', 'fresh': 'hepaflow, new memory each time',
             'nibabel': 'nibabel ' + r['peer'].get('nibabel', '')}
    for key, name in names.items():
        row = r[key]
        if 'error' in row:
            text += f'| {name} | not measured: {row["error"]} | | | |\n'
            continue
        ratios = ['', '']
        if key != 'nibabel' and 'error' not in peer:
            ratios = [f'{peer[k] / row[k]:.2f}' for k in ('median_ms', 'cpu_median_ms')]
        text += (f'| {name} | {row["median_ms"]:.0f} | {row["cpu_median_ms"]:.0f} | {ratios[0]} | '
                 f'{ratios[1]} |\n')
    if 'same' in r:
        text += '\nThe voxels are the same.\n' if r['same'] else '\nThe voxels DIFFER.\n'
    return text


def failed(r):
    return not r.get('same', True)
