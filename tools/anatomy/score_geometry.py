#!/usr/bin/env python3
"""score_geometry.py - how well couinaud_geometry's `method: mask` agrees with drawn Couinaud maps.

Runs hepaflow on the anatomies that the `phantom` stage ships (liver masks with the map that an expert
drew), and on further maps and liver masks if named, and prints the Dice of each segment as the table
of docs/couinaud.md. With a path for --picture also draws coronal and axial slices of held-out
livers. Needs nibabel and NumPy; only a maintainer ever runs it.

    score_geometry.py build/hepaflow stages/phantom/anatomy [--case NAME MAP LIVER] [--picture PNG]
"""
import argparse
import pathlib
import struct
import subprocess
import tempfile
import zlib

import nibabel as nib
import numpy as np

GRAPH = """name: geometry
stages:
  cases: {use: load, dataset: %s, split: all, require: [liver]}
  map: {use: couinaud_geometry, from: cases}
  saved: {use: save, from: map, fields: [couinaud]}
"""
COLORS = np.array([[0, 0, 0], [148, 103, 189], [31, 119, 180], [127, 187, 235], [44, 160, 44],
                   [255, 187, 60], [214, 39, 40], [255, 127, 110], [140, 86, 75]], np.uint8)


def derive(program, folder, livers):
    """The stage's maps of liver masks: {name: (mask, affine)} to {name: map}."""
    lines = ["case,patient,image,liver"]
    for name, (mask, affine) in livers.items():
        for kind in ("image", "liver"):
            nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), folder / f"{name}-{kind}.nii.gz")
        lines.append(f"{name},{name},{name}-image.nii.gz,{name}-liver.nii.gz")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    (folder / "graph.yaml").write_text(GRAPH % (folder / "cases.csv"))
    subprocess.run([program, "run", str(folder / "graph.yaml"), "--out", str(folder / "out")],
                   check=True, stdout=subprocess.DEVNULL)
    return {n: np.asarray(nib.load(folder / "out/saved" / f"{n}_couinaud.nii.gz").dataobj)
            for n in livers}


def dices(out, truth):
    return [2 * ((out == k) & (truth == k)).sum() / max(1, (out == k).sum() + (truth == k).sum())
            for k in range(1, 9)]


def row(name, truths, maps, names):
    each = np.array([dices(maps[n], truths[n]) for n in names])
    print(f"| {name} | " + " | ".join(f"{m:.2f} ± {s:.2f}" for m, s in zip(each.mean(0), each.std(0)))
          + f" | {each.mean():.3f} |")


def volumes(name, maps, names):
    share = np.array([[(maps[n] == k).sum() for k in range(1, 9)] for n in names], float)
    share *= 100 / share.sum(1, keepdims=True)
    print(f"| {name} | " + " | ".join(f"{m:.1f} ± {s:.1f}" for m, s in zip(share.mean(0), share.std(0)))
          + " | |")


def png(path, rgb):
    h, w, _ = rgb.shape
    raw = b"".join(b"\0" + rgb[y].tobytes() for y in range(h))
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data
                                + struct.pack(">I", zlib.crc32(kind + data)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def picture(path, truths, maps, names, spacing):
    """A row for each liver: drawn and derived map, in an axial and a coronal slice. As radiologists
    look at them: the patient's right on the left."""
    size, gap = (200, 170), 6
    rows = []
    for n in names:
        tiles = []
        for axis in (2, 1):
            at = int(np.argmax((truths[n] > 0).sum(tuple({0, 1, 2} - {axis}))))
            for m in (truths[n], maps[n]):
                cut = np.take(m, at, axis)[::-1, ::-1].T  # right to the left, front or top up
                step = [spacing[2 if axis == 1 else 1], spacing[0]]
                scale = min(size[1] / (cut.shape[0] * step[0]), size[0] / (cut.shape[1] * step[1]))
                y = ((np.arange(size[1]) - size[1] / 2) / scale / step[0] + cut.shape[0] / 2).astype(int)
                x = ((np.arange(size[0]) - size[0] / 2) / scale / step[1] + cut.shape[1] / 2).astype(int)
                inside = ((y >= 0) & (y < cut.shape[0]))[:, None] & ((x >= 0) & (x < cut.shape[1]))
                tile = cut[np.clip(y, 0, cut.shape[0] - 1)][:, np.clip(x, 0, cut.shape[1] - 1)]
                tiles.append(COLORS[np.where(inside, tile, 0)])
                tiles.append(np.full((size[1], gap, 3), 255, np.uint8))
        rows.append(np.concatenate(tiles[:-1], 1))
        rows.append(np.full((gap, rows[0].shape[1], 3), 255, np.uint8))
    png(path, np.concatenate(rows[:-1], 0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hepaflow")
    parser.add_argument("anatomies", type=pathlib.Path)
    parser.add_argument("--case", nargs=3, action="append", default=[])
    parser.add_argument("--picture", type=pathlib.Path)
    options = parser.parse_args()
    truths, livers = {}, {}
    for path in sorted(options.anatomies.glob("*.nii.gz")):
        image = nib.load(path)
        name = path.name.removesuffix(".nii.gz")
        truths[name] = np.asarray(image.dataobj) & 15
        livers[name] = (truths[name] > 0, image.affine)
        spacing = image.header.get_zooms()[:3]
    names = list(truths)
    for name, path, mask in options.case:
        truths[name] = np.asarray(nib.load(path).dataobj)
        image = nib.load(mask)
        livers[name] = (np.asarray(image.dataobj) > 0, image.affine)
    with tempfile.TemporaryDirectory() as folder:
        maps = derive(options.hepaflow, pathlib.Path(folder), livers)
    print("| | " + " | ".join(map(str, range(1, 9))) + " | mean |\n" + "| --- " * 10 + "|")
    row(f"tuned on ({len(names[0::2])})", truths, maps, names[0::2])
    row(f"held out ({len(names[1::2])})", truths, maps, names[1::2])
    for name, *_ in options.case:
        row(name, truths, maps, [name])
    volumes("% of the liver, drawn", truths, names[1::2])
    volumes("% of the liver, derived", maps, names[1::2])
    if options.picture:
        order = sorted(names[1::2], key=lambda n: np.mean(dices(maps[n], truths[n])))
        chosen = [order[-1], order[len(order) // 2], order[0]]
        print("in the picture:", *(f"{n} ({np.mean(dices(maps[n], truths[n])):.2f})" for n in chosen))
        picture(options.picture, truths, maps, chosen, spacing)


if __name__ == "__main__":
    main()
