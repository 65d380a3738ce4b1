#!/usr/bin/env python3
"""picture.py - slices of cases with tumors outlined red and Couinaud segments blue, as a PNG.

    picture.py out/p/cases.csv docs/phantom.png train-000 test-001 ...

Seen from below, as radiologists do: the patient's right is on the left. Needs nibabel, numpy, scipy
and Pillow.
"""
import csv
import pathlib
import sys

import nibabel as nib
import numpy as np
from PIL import Image
from scipy import ndimage

WIDTH, HEIGHT = 220, 160
BLUE, RED = 64, 65  # in a palette of 64 greys and these two


def read(path):
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj).transpose(2, 1, 0), image.header.get_zooms()[2::-1]


def fit(plane, mm, order):
    """A slice with rows from front to back and columns from right to left, on square pixels."""
    plane = plane[::-1, ::-1].astype(np.float32)
    scale = min(WIDTH / (plane.shape[1] * mm[2]), HEIGHT / (plane.shape[0] * mm[1]))
    plane = ndimage.zoom(plane, (scale * mm[1], scale * mm[2]), order=order,
                         mode="nearest")[:HEIGHT, :WIDTH]
    rest = (HEIGHT - plane.shape[0], WIDTH - plane.shape[1])
    return np.pad(plane, [(r // 2, r - r // 2) for r in rest], constant_values=plane.min())


def panel(image, mm, window, outlines=()):
    low, high = window
    grey = np.clip((fit(image, mm, 1) - low) / (high - low), 0, 1) * 63
    shown = np.rint(grey).astype(np.uint8)
    for labels, tint in outlines:
        labels = fit(labels, mm, 0)
        shown[labels != ndimage.grey_erosion(labels, 3)] = tint
    return shown


def row(folder, entry):
    image, mm = read(folder / entry["image"])
    couinaud, _ = read(folder / entry["couinaud"])
    tumor, _ = read(folder / entry["tumor"])
    planes = np.flatnonzero((couinaud > 0).any(axis=(1, 2)))
    area = tumor.sum(axis=(1, 2))
    most = int(area.argmax()) if area.any() else int(np.median(planes))
    low, middle, high = (int(np.quantile(planes, q)) for q in (0.25, 0.55, 0.85))
    level = np.median(image[couinaud > 0])
    narrow = (level - 90, level + 90)
    rows, columns = (np.flatnonzero((couinaud[most] > 0).any(axis=a)) for a in (1, 0))
    box = np.s_[most, max(rows[0] - 5, 0):rows[-1] + 6, max(columns[0] - 5, 0):columns[-1] + 6]
    lines = ((couinaud[box], BLUE), (tumor[box], RED))
    panels = [panel(image[d], mm, (-160, 240)) for d in (low, middle, high)]
    panels += [panel(image[box], mm, narrow), panel(image[box], mm, narrow, lines)]
    return np.concatenate(panels, axis=1)


def main():
    manifest, target, names = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with manifest.open() as file:
        rows = {r["case"]: r for r in csv.DictReader(file)}
    picture = np.concatenate([row(manifest.parent, rows[name]) for name in names], axis=0)
    image = Image.fromarray(picture, mode="P")
    greys = [value for grey in range(64) for value in [grey * 4] * 3]
    image.putpalette(greys + [80, 150, 255] + [255, 50, 50])
    image.save(target, optimize=True)


if __name__ == "__main__":
    main()
