"""The engine's own time and memory.

Overhead: chains of stages without work; the time of a pass divided by its samples and stages, for
100 to 100,000 samples, as the median of several passes. Memory: the peak of a process that streams
cases through preprocessing and augmentation into a sink that takes 200 ms for each, as a
training may; for few and for many cases. Each case is of the same size and gets every effect, and
the sink is slower than the rest, so that the edges are full by the tenth case: else the peak would
be that of what rarely meets, which more cases meet more often. Nothing here has a peer: what
counts is that the one is small and flat, and the other does not grow.
"""
import os
import shutil
import statistics
import subprocess
import csv
import json

from common import Programs, say

STAGES = 8


def options(p):
    p.add_argument('--build', metavar='DIR', help='a build tree (build/)')
    p.add_argument('--workers', type=int, default=0, help='workers (as many as cores)')


def measure(a):
    programs = Programs(build=a.build, targets=('hepaflow', 'tools/idle.so'))
    if not a.build:
        subprocess.run(['ninja', '-C', os.path.dirname(programs.hepaflow)], check=True,
                       stdout=subprocess.DEVNULL)
    programs.env['HEPAFLOW_PLUGIN_PATH'] = programs.folder
    return {'workers': a.workers or len(os.sched_getaffinity(0)), 'stages': STAGES,
            'overhead': overhead(programs, a), 'memory': memory(programs, a)}


# ---- overhead ----

def overhead(programs, a):
    rows = []
    for samples in (100, 1000) if a.quick else (100, 1000, 10000, 100000):
        say(f'  {samples} samples through {STAGES} stages')
        times = [one_pass(programs, a, samples) for _ in range(3 if a.quick else 9)]
        micros = [1e6 * t / samples / STAGES for t in times]
        rows.append({'samples': samples, 'median_us': statistics.median(micros),
                     'least_us': min(micros), 'most_us': max(micros)})
    return rows


def one_pass(programs, a, samples):
    graph = os.path.join(a.out, 'idle.yaml')
    with open(graph, 'w', encoding='utf-8') as f:
        f.write(f'name: idle\nstages:\n  s0: {{use: idle_source, count: {samples}}}\n')
        for i in range(1, STAGES):
            f.write(f'  s{i}: {{use: idle_pass, from: s{i - 1}}}\n')
        f.write(f'  sink: {{use: idle_sink, from: s{STAGES - 1}}}\n')
    out = os.path.join(a.out, 'idle')
    subprocess.run([programs.hepaflow, 'run', graph, '--out', out, '--workers', str(a.workers)],
                   env=programs.env, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, 'scores.json'), encoding='utf-8') as f:
        scores = json.load(f)
    found = scores['stages']['sink'] if 'stages' in scores else scores['sink']
    assert found['samples'] == samples
    return found['seconds']


# ---- memory ----

STREAM = '''name: stream
seed: 66
device: cpu
stages:
  cases: {use: load, depth: 2, dataset: "%s", require: [liver, couinaud]}
  prepared: {use: prepare, from: cases, depth: 2, window: [-150, 150], size: [128, 128], smooth: 2 px}
  varied:
    use: augment
    from: prepared
    depth: 2
    effects: {rotate: 1, scale: 1, mirror_w: 1, mirror_h: 1, noise: 1, blur: 1, brightness: 1,
              contrast: 1, low_resolution: 1, inverted_gamma: 1, gamma: 1}
  sink: {use: idle_sink, from: varied, pause: 200}
'''


def repeat_cases(manifest, cases):
    """A manifest of so many cases, which are one of another manifest again and again: cases of
    other sizes would meet in other ways the longer it goes on."""
    with open(manifest, encoding='utf-8') as f:
        rows = list(csv.DictReader(f))
    path = os.path.join(os.path.dirname(manifest), f'cases-{cases}.csv')
    with open(path, 'w', encoding='utf-8', newline='') as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        for i in range(cases):
            row = dict(rows[0])
            row['case'] = row['patient'] = f'{row["case"]}-{i}'
            out.writerow(row)
    return path


def peak(command, env):
    """MB that a process had at most."""
    pid = os.posix_spawnp(command[0], command, env,
                          file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f'{" ".join(command)}: exit status {os.waitstatus_to_exitcode(status)}')
    return usage.ru_maxrss / 1024


def memory(programs, a):
    data = os.path.join(a.out, 'phantom')
    shutil.rmtree(data, ignore_errors=True)
    subprocess.run([programs.hepaflow, 'phantom', data, '--cases', '2', '--seed', '66'],
                   env=programs.env, check=True, stdout=subprocess.DEVNULL)
    rows = []
    for cases in (10, 50) if a.quick else (10, 100, 1000):
        say(f'  {cases} cases')
        graph = os.path.join(a.out, 'stream.yaml')
        with open(graph, 'w', encoding='utf-8') as f:
            f.write(STREAM % repeat_cases(os.path.join(data, 'cases.csv'), cases))
        command = [programs.hepaflow, 'run', graph, '--out', os.path.join(a.out, 'stream'),
                   '--workers', str(a.workers)]
        rows.append({'cases': cases,
                     'peak_mb': statistics.median(peak(command, programs.env)
                                                  for _ in range(1 if cases > 100 else 3))})
    return rows


# ---- the table ----

def table(results):
    lines = [f'{results["date"]}, {results["machine"]}, {results["workers"]} workers, '
             f'`{results["command"]}`.', '',
             f'| samples through {results["stages"]} stages without work | us a sample and stage, '
             'median (least, most) |', '| --- | --- |']
    for r in results['overhead']:
        lines.append(f'| {r["samples"]} | {r["median_us"]:.2f} ({r["least_us"]:.2f}, '
                     f'{r["most_us"]:.2f}) |')
    least = min(r['peak_mb'] for r in results['memory'])
    lines += ['', '| cases streamed | peak memory of the process, MB | above the least |',
              '| --- | --- | --- |']
    for r in results['memory']:
        lines.append(f'| {r["cases"]} | {r["peak_mb"]:.1f} | '
                     f'{100 * (r["peak_mb"] / least - 1):.1f} % |')
    return '\n'.join(lines) + '\n'
