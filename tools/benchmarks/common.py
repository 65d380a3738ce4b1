"""What the benchmarks share: where the programs are, how they are run, what the machine is.

A benchmark is a module beside this one, and `tools/bench NAME` runs it:
  its docstring       the help; the first line says what is measured
  options(parser)     adds the benchmark's own options
  measure(a)          does the work; a dictionary for NAME.json
  table(results)      the Markdown of NAME.md, as docs/benchmarks.md has it
  failed(results)     optional: whether the exit status is to be 1
"""
import json
import os
import platform
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TOP, 'tools', 'benchmarks')
PYTHON = os.environ.get('HEPAFLOW_PYTHON', 'python3')


def say(text):
    print(text, file=sys.stderr, flush=True)


def no_result(why):
    say('    not measured: ' + why)
    return {'error': why}


def run_json(command, env=None, timeout=900):
    """The last line that a command prints, as JSON; {'error': why} if it fails."""
    say('  ' + ' '.join(command))
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout,
                              check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return no_result(str(e))
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        why = (done.stderr.strip() or done.stdout.strip() or 'it printed nothing').splitlines()
        return no_result(why[-1])
    return json.loads(lines[-1])


def machine():
    """The processor's name and how many of its cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            name = next((line.split(':')[1].strip() for line in f if 'model name' in line), name)
    except OSError:
        pass
    return f'{name}, {len(os.sched_getaffinity(0))} cores'


class Programs:
    """Where the programs are: a bundle, if there is one, or the build tree."""

    def __init__(self, bundle=None, build=None, targets=('tools/bench-step',)):
        bundle = bundle or os.path.join(TOP, 'bundle')
        if os.path.isdir(bundle) and not build:
            self.hepaflow = os.path.join(bundle, 'bin', 'hepaflow')
            self.folder = os.path.join(bundle, 'bin')
        else:
            if not build:
                build = os.path.join(TOP, 'build')
                subprocess.run([os.path.join(TOP, 'tools', 'setup')], check=True,
                               stdout=subprocess.DEVNULL)
            if targets:
                subprocess.run(['ninja', '-C', build, *targets], check=True,
                               stdout=subprocess.DEVNULL)
            self.hepaflow = os.path.join(build, 'hepaflow')
            self.folder = os.path.join(build, 'tools')
        self.env = dict(os.environ, HEPAFLOW_STORE='')  # what is measured must be done
        found = subprocess.run([os.path.join(TOP, 'tools', 'find-cudnn')], capture_output=True,
                               text=True, check=False)
        if found.returncode == 0:
            folder = os.path.dirname(found.stdout.splitlines()[1])
            self.env['LD_LIBRARY_PATH'] = folder + ':' + self.env.get('LD_LIBRARY_PATH', '')

    def path(self, name):
        """Of a program that the benchmarks bring along."""
        return os.path.join(self.folder, name)
