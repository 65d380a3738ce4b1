"""schema_check.py PROGRAM GRAPHS-FOLDER: `hepaflow schema`, by a validator that knows nothing of hepaflow.

All shipped graphs are valid. Bad graphs are not, and the error is where it should be. Of every option of every
stage and network the default is valid, also with a var in its place, and values of another type,
out of range, or of no choice are not. What the schema refuses here, `plan` refuses as well.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import yaml
    from jsonschema import Draft7Validator
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

program, graphs = sys.argv[1:3]


def output(*args):
    return subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout


schema = json.loads(output("schema"))
Draft7Validator.check_schema(schema)
validator = Draft7Validator(schema)
failures = []


def errors(graph):
    return list(validator.iter_errors(graph))


def leaves(error):
    """The paths of an error and of what it is made of."""
    yield "/".join(str(p) for p in error.absolute_path)
    for inner in error.context or []:
        yield from leaves(inner)


def expect_good(text, what):
    graph = yaml.safe_load(text)
    for e in errors(graph):
        failures.append(f"{what}: refused at {'/'.join(map(str, e.absolute_path))}: {e.message[:300]}")


def plan_refuses(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(text)
        f.flush()
        return subprocess.run([program, "plan", f.name], capture_output=True).returncode == 2


def expect_bad(text, where, planned=True):
    found = [path for e in errors(yaml.safe_load(text)) for path in leaves(e)]
    if not any(path == where for path in found):
        failures.append(f"not refused at '{where}' ({found}):\n{text}")
    if planned and not plan_refuses(text):
        failures.append(f"refused by the schema alone:\n{text}")


# ---- the shipped graphs ----
files = sorted(pathlib.Path(graphs).rglob("*.yaml"))
assert len(files) >= 12, files
for f in files:
    expect_good(f.read_text(), f.name)

# ---- good ones of every form ----
LOAD = "stages:\n  a: {use: load, dataset: x}\n"
expect_good(LOAD + "  b: {use: prepare, from: a, smooth: 2 px, window: [-0.2e3 HU, 250]}\n", "units")
expect_good(LOAD + "  b: {use: threshold, from: [a], min_volume: 0.5 ml, value: 1e-5}\n", "numbers")
expect_good("include: base.yaml\nstages:\n  pseudo: {value: 0.4}\n  old: ~\n  other: {from: a, hold: yes}\n", "parts")
expect_good("include: [a.yaml, b.yaml]\nseed: ${s}\nvars: {s: 3}\n", "no stages of its own")
expect_good(LOAD + "  b: {like: a, split: test}\nx-mine: {any: thing}\nhold: 2.5 GB\n", "like")
expect_good(LOAD + "  b: {use: '${x}', from: a, value: 1}\n", "a var names the stage")
expect_good("on_error: [retry(2), skip]\ndevice: ~\njobs: 2\n" + LOAD, "on_error")

expect_good(LOAD + "sweep: {seeds: [1, 2], axes: {a.split: [train, test]}, arms: {x: {}, y: {a: {split: all}}}}\n", "sweep")

# ---- bad ones ----
for text, where in [
    ("sede: 3\n" + LOAD, ""),
    ("name: x\n", ""),
    ("stages: {}\n", "stages"),
    ("stages: [a]\n", "stages"),
    ("seed: -1\n" + LOAD, "seed"),
    ("seed: 1.5\n" + LOAD, "seed"),
    ("device: gpu\n" + LOAD, "device"),
    ("jobs: 0\n" + LOAD, "jobs"),
    ("jobs: many\n" + LOAD, "jobs"),
    ("nn_threads: 5000\n" + LOAD, "nn_threads"),
    ("hold: 3 mm\n" + LOAD, "hold"),
    ("vars: [a]\n" + LOAD, "vars"),
    ("on_error: retry(0)\n" + LOAD, "on_error"),
    ("on_error: [skip, retry(2)]\n" + LOAD, "on_error/0"),
    ("sweep: {axis: {a.split: [train]}}\n" + LOAD, "sweep"),
    ("include: {a: b}\n" + LOAD, "include"),
    ("stages:\n  1st: {use: load, dataset: x}\n", "stages"),
    ("stages:\n  a: {use: laod, dataset: x}\n", "stages/a/use"),
    ("stages:\n  a: {dataset: x}\n", "stages/a"),
    ("stages:\n  a: ~\n", "stages/a"),
    ("stages:\n  a: load\n", "stages/a"),
    ("stages:\n  a: {use: load}\n", "stages/a"),
    ("stages:\n  a: {use: load, dataset: x, splti: train}\n", "stages/a"),
    ("stages:\n  a: {use: load, dataset: x, split: tarin}\n", "stages/a/split"),
    ("stages:\n  a: {use: load, dataset: [x]}\n", "stages/a/dataset"),
    ("stages:\n  a: {use: load, dataset: x, from: a}\n", "stages/a/from"),
    ("stages:\n  a: {use: load, dataset: x, model: a}\n", "stages/a/model"),
    ("stages:\n  a: {use: load, dataset: x, depth: 0}\n", "stages/a/depth"),
    (LOAD + "  b: {use: threshold, from: {a: 1}}\n", "stages/b/from"),
    (LOAD + "  b: {use: threshold, value: 0.5}\n", "stages/b"),
    (LOAD + "  b: {use: spot, from: a}\n", "stages/b"),
    (LOAD + "  b: {use: threshold, from: a, min_volume: 3 HU}\n", "stages/b/min_volume"),
    (LOAD + "  b: {use: threshold, from: a, weights: [1]}\n", "stages/b/weights"),
    (LOAD + "  b: {use: threshold, from: a, replicas: 0}\n", "stages/b/replicas"),
    (LOAD + "  b: {use: evaluate, from: a, hold: 1 GB}\n", "stages/b/hold"),
    (LOAD + "  b: {use: prepare, from: a, window: [1, 2, 3]}\n", "stages/b/window"),
    (LOAD + "  b: {use: prepare, from: a, window: {a: 1}}\n", "stages/b/window"),
    (LOAD + "  b: {use: mix, from: [a, a]}\n", "stages/b/from"),
    (LOAD + "  b: {use: mix, from: [a], weights: [0]}\n", "stages/b/weights/0"),
    (LOAD + "  b: {use: train, from: a, network: u_net, inputs: [image], target: liver}\n", "stages/b/network"),
    (LOAD + "  b: {use: train, from: a, network: {unet: {widht: 8}}, inputs: [image], target: liver}\n", "stages/b/network/unet"),
    (LOAD + "  b: {use: train, from: a, network: {unet: {}, gated_unet: {}}, inputs: [image], target: liver}\n", "stages/b/network"),
    (LOAD + "  b: {use: train, from: a, network: unet, inputs: [image], target: liver, loss: {l3: 1}}\n", "stages/b/loss"),
    (LOAD + "  b: {like: a, vlaue: 1}\n", "stages/b"),
]:
    expect_bad(text, where, planned="sweep" not in where)
# Of an included graph nothing is known, but what no stage has is no option.
expect_bad("include: base.yaml\nstages:\n  pseudo: {vlaue: 0.4}\n", "stages/pseudo")

# ---- every option ----
OTHER = {"bool": "[1]", "int": "{a: 1}", "real": "{a: 1}", "enum": "no_such_choice", "string": "{a: 1}",
         "path": "[x]", "reals": "{a: 1}", "names": "{a: 1}", "weights": "{a: {b: 1}}", "network": "[unet]"}
checked = 0


def stage_text(stage, option, value):
    text = f"include: base.yaml\nstages:\n  s:\n    use: {stage}\n    {option}: {value}\n"
    return text, f"stages/s/{option}"


def network_text(network, option, value):
    text = f"include: base.yaml\nstages:\n  s: {{use: train, network: {{{network}: {{{option}: {value}}}}}}}\n"
    return text, f"stages/s/network/{network}/{option}"


def check_option(text_of, owner, o):
    global checked
    checked += 1
    if not o["required"]:
        expect_good(text_of(owner, o["name"], o["default"])[0], f"default of {owner}.{o['name']}")
    expect_good(text_of(owner, o["name"], "'${x}'")[0], f"var in {owner}.{o['name']}")
    expect_bad(*text_of(owner, o["name"], OTHER[o["type"]]), planned=False)
    if o["type"] in ("int", "real", "reals"):
        expect_bad(*text_of(owner, o["name"], "3 parsec"), planned=False)
    if o["type"] in ("int", "real", "reals") and o.get("max") is not None:
        count = o.get("items_min", 1) if o["type"] == "reals" else 0
        value = o["max"] + 1
        expect_bad(*text_of(owner, o["name"], [value] * count if count > 1 else value), planned=False)
    if o["type"] == "names" and o.get("choices"):
        expect_bad(*text_of(owner, o["name"], "[no_such_choice]"), planned=False)


for module in json.loads(output("inspect", "--json")):
    for stage in module.get("stages", []):
        for option in stage["options"]:
            check_option(stage_text, stage["name"], option)
    for network in module.get("networks", []):
        required = [o["name"] for o in network["options"] if o["required"]]
        assert not required, "the texts above leave them out"
        for option in network["options"]:
            check_option(network_text, network["name"], option)
assert checked > 100, checked

print("\n".join(failures) if failures else f"{len(files)} graphs, {checked} options")
sys.exit(1 if failures else 0)
