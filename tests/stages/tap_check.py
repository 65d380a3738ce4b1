"""tap_check.py PROGRAM: `hepaflow tap` writes what flows on an edge, and runs no more than that needs."""

import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

program = sys.argv[1]
work = pathlib.Path(tempfile.mkdtemp(prefix="tap-"))
os.environ["HEPAFLOW_STORE"] = str(work / "store")
GRAPH = """
stages:
  cases: {use: load, dataset: DATA}
  prepared: {use: prepare, from: cases, spacing: [8, 4, 4], size: [64, 64]}
  segments: {use: couinaud_mask, from: prepared, labels: given}
  clean: {use: select, from: segments, keep: clean_segments}
  holes: {use: holes, from: clean}
  saved: {use: save, from: segments, grid: sample, fields: [image, liver, segments]}
  net: {use: train, from: holes, network: {unet: {width: 4, levels: 2}}, inputs: [masked], target: image,
        loss: l1, steps: 2}
  filled: {use: segment, from: segments, model: other}
  other: {use: train, from: segments, network: {unet: {width: 4, levels: 2}}, inputs: [image], target: segments, loss: bce,
          steps: 2}
  scores: {use: evaluate, from: filled, field: predicted, truth: tumor}
"""


def hepaflow(*args, status=0):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def nifti(path):
    """Size, voxel type, affine and voxels of a NIfTI-1 file."""
    data = gzip.decompress(path.read_bytes())
    dim = struct.unpack("<8h", data[40:56])
    kind, offset = struct.unpack("<h", data[70:72])[0], int(struct.unpack("<f", data[108:112])[0])
    return dim[1:4], kind, struct.unpack("<12f", data[280:328]), data[offset:]


def values(kind, raw):
    return list(raw) if kind == 2 else struct.unpack(f"<{len(raw) // 4}f", raw)


hepaflow("phantom", work / "ph", "--cases", 2, "--seed", 3)
graph = work / "graph.yaml"
graph.write_text(GRAPH.replace("DATA", str(work / "ph/cases.csv")))
names = [line.split(",")[0] for line in (work / "ph/cases.csv").read_text().splitlines()[1:]]

# What is written is what the stage `save` writes of the sample's own grid.
told = hepaflow("tap", graph, "segments", "--out", work / "a", "--count", 2)
assert "net begins" not in told and "saved begins" not in told and "needs the models" not in told, told
hepaflow("run", graph, "--out", work / "run")
summary = json.loads((work / "a/tap.json").read_text())
assert [s["case"] for s in summary["samples"]] == names
for sample in summary["samples"]:
    fields = {f["name"]: f for f in sample["fields"]}
    for field in ("image", "liver", "segments"):
        mine = nifti(work / f"a/{sample['id']}_{field}.nii.gz")
        assert mine == nifti(work / f"run/saved/{sample['id']}_{field}.nii.gz"), field
        size, kind, affine, raw = mine
        assert fields[field]["shape"] == [1, *reversed(size)] and sample["grid"]["size"] == [*reversed(size)]
        v = values(kind, raw)
        for key, is_now in ("min", min(v)), ("max", max(v)), ("mean", sum(v) / len(v)):
            assert abs(fields[field][key] - is_now) <= 1e-4 * max(1, abs(is_now)), (field, key)
        spacing = [sum(affine[4 * r + c] ** 2 for r in range(3)) ** 0.5 for c in (2, 1, 0)]
        assert all(abs(a - b) < 1e-3 for a, b in zip(spacing, sample["grid"]["spacing"]))
        picture = (work / f"a/{sample['id']}_{field}.png").read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">2I", picture[16:24])[0] == 5 * 204 - 4
    # The truth lies on the image's own grid, tables are CSV.
    assert fields["truth"]["place"] == "canonical"
    assert nifti(work / f"a/{sample['id']}_truth.nii.gz")[0] == tuple(reversed(sample["canonical"]["size"]))
    rows = (work / f"a/{sample['id']}_annotation.csv").read_text().splitlines()
    assert fields["annotation"]["place"] == "table" and len(rows[0].split(",")) == 9
    # Everything in the summary is there, and nothing else.
    listed = {f for field in sample["fields"] for f in field["files"]}
    assert listed == {p.name for p in (work / "a").glob(sample["id"] + "_*")}
    assert f"{sample['id']}  (" in told and "segments" in told

# One case: the others are not even opened, so a broken one does no harm.
manifest = (work / "ph/cases.csv").read_text()
broken = work / "ph" / manifest.splitlines()[1].split(",")[3]
whole = broken.read_bytes()
broken.write_bytes(whole[:2000])
told = hepaflow("tap", graph, "cases", "--case", names[1], "--out", work / "b", "--json")
assert [s["case"] for s in json.loads((work / "b/tap.json").read_text())["samples"]] == names[1:]
assert not list((work / "b").glob(names[0] + "*"))
hepaflow("tap", graph, "cases", "--case", names[0], "--out", work / "c", status=1)
broken.write_bytes(whole)

# Draws are those of the run's passes: the same again, others in another pass.
for out, epoch in ("e0", 0), ("again", 0), ("e1", 1):
    hepaflow("tap", graph, "holes", "--out", work / out, "--epoch", epoch, "--count", 1)
first = next((work / "e0").glob("*_hole.nii.gz")).name
assert nifti(work / "e0" / first) == nifti(work / "again" / first) != nifti(work / "e1" / first)

# A stage that needs a model has it trained first, and no other; a setting of what is left out is none.
told = hepaflow("tap", graph, "filled", "--set", "net.steps=1", "--set", "other.steps=1", "--out", work / "m")
assert "needs the models of 'other'" in told and "net begins" not in told and "scores begins" not in told, told
assert next((work / "m").glob("*_predicted.nii.gz"))
# Of another case the model is in the store.
told = hepaflow("tap", graph, "filled", "--set", "other.steps=1", "--case", names[1], "--out", work / "m")
assert "other begins" not in told and "other reused" in told, told

# Paths and cases of any kind.
odd = work / 'odd\n\t"${x}"'
odd.mkdir()
(odd / "graph.yaml").write_text(graph.read_text())
hepaflow("tap", odd / "graph.yaml", "cases", "--out", work / "o")
says = hepaflow("tap", odd / "graph.yaml", "cases", "--out", work / "o", "--case", 'a"\n', status=1)
assert "no sample of case 'a\"" in says, says

for args, says in [
    (["segmnts"], "did you mean 'segments'?"),
    (["net"], "stage 'net' (train) hands on no samples; what it takes leaves 'holes'"),
    ([], "STAGE is missing"),
]:
    assert says in hepaflow("tap", graph, *args, status=2), says
assert "no sample of case 'nobody'" in hepaflow("tap", graph, "cases", "--case", "nobody", "--out", work / "n", status=1)
subprocess.run(["rm", "-r", work], check=True)
