"""Training on a GPU, beside PyTorch.

Training steps and forward passes of the U-Net and the gated U-Net, each against the same network
in PyTorch (eager and compiled); tumor synthesis and the whole preprocessing in samples a second
against the CPU; and what a training waits for while they stream into it. Times are medians of at
least 50 steps after a warm-up, with the first and third quartile in gpu.json.
"""
import os
import re
import subprocess

from common import HERE, PYTHON, Programs, no_result, run_json, say


def options(p):
    p.add_argument('--device', default='cuda', help='another device than cuda')
    p.add_argument('--bundle', metavar='DIR', help='take the programs of this bundle (bundle/)')


def measure(a):
    programs = Programs(a.bundle)
    precisions = ('bf16', 'tf32', 'f32') if a.device == 'cuda' else ('f32',)
    return {'steps': bench_steps(programs, a, precisions), 'stream': bench_stream(programs, a)}


def failed(results):
    return any('error' in r['hepaflow'] for r in results['steps'])


# ---- steps of networks ----

def networks(quick):
    """Name, batch, size and loss of what is timed."""
    if quick:
        return [('unet', 2, 64, 'bce+dice'), ('gated_unet', 1, 128, 'l1')]
    return [('unet', 32, 256, 'bce+dice'), ('gated_unet', 16, 256, 'l1')]


def bench_steps(programs, args, precisions):
    step = programs.path('bench-step')
    nets = os.path.join(HERE, 'nets.yaml')
    steps = '5' if args.quick else '50'
    rows = []
    for name, batch, size, loss in networks(args.quick):
        description = os.path.join(args.out, name + '.json')
        text = subprocess.run([step, nets, name, '--describe'], env=programs.env,
                              capture_output=True, text=True, check=True).stdout
        with open(description, 'w', encoding='utf-8') as f:
            f.write(text)
        shape = ['--batch', str(batch), '--size', str(size), '--steps', steps]
        for precision in precisions:
            say(f'{name}, {precision}')
            row = {'network': name, 'batch': batch, 'size': size, 'precision': precision}
            row['hepaflow'] = run_json([step, nets, name, '--device', args.device,
                                        '--precision', precision] + shape, programs.env)
            for mode in ('eager', 'compile'):
                row[mode] = run_json(
                    [PYTHON, os.path.join(HERE, 'torch_step.py'),
                     description, '--device', 'cuda' if args.device == 'cuda' else 'cpu',
                     '--precision', precision, '--mode', mode, '--loss', loss] + shape)
            rows.append(row)
    return rows


# ---- samples that stream into a training ----

def bench_stream(programs, args):
    """Of each device: samples a second of the stages alone, and the training step on them."""
    data = os.path.join(args.out, 'phantom')
    cases = '2' if args.quick else '8'
    subprocess.run([programs.hepaflow, 'phantom', data, '--cases', cases, '--seed', '66'],
                   env=programs.env, check=True, stdout=subprocess.DEVNULL)
    graph = os.path.join(HERE, 'stream.yaml')
    rows = []
    for device in dict.fromkeys((args.device, 'cpu')):
        say(f'streaming on {device}')
        steps = 200 if device == args.device and not args.quick else 3
        sets = ['--set', f'vars.data={data}/cases.csv', '--set', f'busy.steps={steps}']
        if args.quick:
            sets += ['--set', 'vars.size=64', '--set', 'vars.batch=2', '--set', 'idle.epochs=1']
        done = subprocess.run(
            [programs.hepaflow, 'run', graph, '--device', device, '--out',
             os.path.join(args.out, 'stream-' + device)] + sets,
            env=programs.env, capture_output=True, text=True, check=False)
        row = {'device': device}
        if done.returncode != 0:
            row.update(no_result((done.stderr.strip() or 'it failed').splitlines()[-1]))
        for stage, count, ms, mean, rate in re.findall(
                r'(busy|idle): (\d+) steps, median ([\d.]+) ms a step, '
                r'mean ([\d.]+) over the later half, ([\d.]+) samples/s',
                done.stdout + done.stderr):
            row[stage] = {'steps': int(count), 'median_ms': float(ms), 'mean_ms': float(mean),
                          'samples_s': float(rate)}
        rows.append(row)
    return rows


# ---- the table ----

def cell(result, what):
    if 'error' in result:
        return 'not measured'
    return f'{result[what]["median_ms"]:.2f}'


def ratio(row, what):
    """The time of hepaflow against the best of PyTorch."""
    peers = [row[m][what]['median_ms'] for m in ('eager', 'compile') if 'error' not in row[m]]
    if 'error' in row['hepaflow'] or not peers:
        return 'not measured'
    return f'{row["hepaflow"][what]["median_ms"] / min(peers):.2f}'


def table(results):
    first = next((r['hepaflow'] for r in results['steps'] if 'error' not in r['hepaflow']), {})
    peer = next((r['eager'] for r in results['steps'] if 'error' not in r['eager']), {})
    lines = [f'Measured {results["date"]}: {first.get("device", results["machine"])}; '
             f'{peer.get("peer", "PyTorch was not there")}, cuDNN {peer.get("cudnn", "unknown")}. '
             f'Command: `{results["command"]}`.', '',
             '| ms, median | precision | hepaflow | PyTorch eager | PyTorch compiled | '
             'hepaflow / best PyTorch |', '| --- | --- | --- | --- | --- | --- |']
    for row in results['steps']:
        for what, name in (('train', 'training step'), ('forward', 'forward pass')):
            lines.append(f'| {row["network"]} {row["batch"]}x{row["size"]}², {name} | '
                         f'{row["precision"]} | {cell(row["hepaflow"], what)} | '
                         f'{cell(row["eager"], what)} | {cell(row["compile"], what)} | '
                         f'{ratio(row, what)} |')
    lines += ['', '| streaming | samples/s, preprocessing and synthesis alone | '
              'ms a training step on them, mean |', '| --- | --- | --- |']
    for row in results['stream']:
        idle, busy = row.get('idle'), row.get('busy')
        lines.append(f'| {row["device"]} | {idle["samples_s"] if idle else "not measured"} | '
                     f'{busy["mean_ms"] if busy else "not measured"} |')
    wait = waiting(results)
    lines += ['', 'Share of a training step that waits for data: '
              + (f'{100 * wait:.1f} %.' if wait is not None else 'not measured.')]
    return '\n'.join(lines) + '\n'


def waiting(results):
    """How much longer a step takes on a stream than on data that lie ready: the mean, for volumes
    come in bursts, and the median step waits for none of them."""
    alone = next((r['hepaflow'] for r in results['steps'] if r['network'] == 'unet'), {})
    busy = results['stream'][0].get('busy')
    if 'train' not in alone or not busy:
        return None
    return max(0.0, 1 - alone['train']['median_ms'] / busy['mean_ms'])
