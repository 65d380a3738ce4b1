#!/usr/bin/env python3
"""statistics.py - the numbers of docs/phantom.md, of any data set in the layout of cases.csv.

    hepaflow phantom out/p --cases 24 --seed 66 --set made.spacing=[2,2] --set made.slice=[4,4]
    statistics.py out/p/cases.csv

Everything is measured on voxels of about 2 x 2 x 4 mm; finer volumes are averaged to them first.
Needs nibabel, numpy and scipy.
"""
import csv
import pathlib
import sys

import nibabel as nib
import numpy as np
from scipy import ndimage

TARGET = (4.0, 2.0, 2.0)


def averaged(array, spacing):
    """Mean over blocks of TARGET mm along each axis that is finer."""
    out = array.astype(np.float32)
    for axis in range(3):
        if spacing[axis] > 0.75 * TARGET[axis]:
            continue
        n = int(array.shape[axis] * spacing[axis] / TARGET[axis])
        wide, narrow = TARGET[axis], spacing[axis]
        ours = np.arange(n)[:, None] * wide
        theirs = np.arange(array.shape[axis])[None, :] * narrow
        common = np.minimum(ours + wide, theirs + narrow) - np.maximum(ours, theirs)
        weights = (np.clip(common, 0, None) / TARGET[axis]).astype(np.float32)
        out = np.moveaxis(np.tensordot(weights, out, axes=(1, axis)), 0, axis)
    return out


def read(path):
    image = nib.as_closest_canonical(nib.load(path))
    spacing = np.array(image.header.get_zooms()[2::-1], dtype=float)
    array = np.asarray(image.dataobj).transpose(2, 1, 0)
    return array, spacing


class Case:
    def __init__(self, row, folder):
        self.name, self.test = row["case"], row["split"] == "test"
        array, spacing = read(folder / row["image"])
        self.image = averaged(array, spacing)
        couinaud, _ = read(folder / row["couinaud"])
        liver, _ = read(folder / row["liver"])
        self.liver = averaged(liver > 0, spacing) > 0.5
        self.tumor = (averaged(read(folder / row["tumor"])[0] > 0, spacing) > 0.5) & self.liver
        self.mm = np.array([t if s <= 0.75 * t else s for s, t in zip(spacing, TARGET)])
        self.ml = self.mm.prod() / 1000
        parts = [int(k) for k in row["segments"].split(";") if k.isdigit()]
        self.segments = len(parts)
        self.annotated = (averaged(np.isin(couinaud, parts), spacing) > 0.5) & self.liver
        self.depth = ndimage.distance_transform_edt(self.liver, sampling=self.mm)
        self.measure()

    def measure(self):
        x = self.image
        deep = (self.depth > 8) & ~ndimage.binary_dilation(self.tumor, iterations=2)
        middle = np.median(x[deep])
        spread = 1.4826 * np.median(np.abs(x[deep] - middle))
        tissue = deep & (x < middle + 3 * spread)  # vessels left out
        self.level = x[tissue].mean()
        off = x - self.level
        self.sd = off[tissue].std()
        sigma = 6 / self.mm
        sigma[0] = 3 / self.mm[0]
        weight = ndimage.gaussian_filter(tissue.astype(float), sigma)
        slow = ndimage.gaussian_filter(np.where(tissue, off, 0), sigma) / np.maximum(weight, 1e-3)
        self.slow, self.fine = slow[tissue].std(), (off - slow)[tissue].std()

        def correlation(axis):
            n = x.shape[axis]
            first, second = range(n - 1), range(1, n)
            both = np.take(tissue, first, axis) & np.take(tissue, second, axis)
            product = np.take(off, first, axis)[both] * np.take(off, second, axis)[both]
            return product.mean() / self.sd**2

        self.in_plane, self.through = correlation(2), correlation(0)
        plain = self.liver & ~self.tumor
        self.rim = [off[plain & (self.depth > lo) & (self.depth <= lo + 2)].mean()
                    for lo in (0.01, 2.01, 4.01)]
        found, count = ndimage.label(self.tumor)
        index = range(1, count + 1)
        self.volumes = [v * self.ml for v in ndimage.sum(self.tumor, found, index)] if count else []
        core = ndimage.binary_erosion(self.tumor)
        insides = [core & (found == k) for k in index]
        self.contrast = [off[inside].mean() for inside in insides if inside.any()]
        self.tumor_ml = self.tumor.sum() * self.ml


def best_threshold(cases, images):
    """The single threshold with the best mean Dice inside the annotated segments."""
    best = (0.0, 0.0)
    for limit in range(20, 160, 2):
        dice = []
        for case, image in zip(cases, images):
            dark = (image < limit) & case.annotated
            dice.append(2 * (dark & case.tumor).sum() / (dark.sum() + case.tumor.sum()))
        best = max(best, (float(np.mean(dice)), limit))
    return best


def show(label, values):
    v = np.array(values, dtype=float)
    print(f"{label:52s} {v.mean():7.2f}  {v.min():7.2f} .. {v.max():7.2f}")


def main():
    manifest = pathlib.Path(sys.argv[1])
    with manifest.open() as file:
        rows = [r for r in csv.DictReader(file) if r["couinaud"] and r["tumor"]]
    cases = [Case(row, manifest.parent) for row in rows]
    sick = [c for c in cases if c.tumor_ml > 0]
    print(f"{len(cases)} cases, {len(sick)} with tumors; mean, least .. most")
    show("liver, ml", [c.liver.sum() * c.ml for c in cases])
    show("liver tissue, HU", [c.level for c in cases])
    show("its standard deviation, HU", [c.sd for c in cases])
    show("  slow part (above about 6 mm), HU", [c.slow for c in cases])
    show("  fine part, HU", [c.fine for c in cases])
    show("correlation of neighbours in the slice", [c.in_plane for c in cases])
    show("correlation of neighbours across slices", [c.through for c in cases])
    for k, text in enumerate(("0 to 2", "2 to 4", "4 to 6")):
        show(f"tissue {text} mm below the surface, HU", [c.rim[k] for c in cases])
    show("tumors in a case", [len(c.volumes) for c in sick])
    show("tumor volume in a case, ml", [c.tumor_ml for c in sick])
    show("volume of a tumor, ml", sum((c.volumes for c in sick), []))
    show("contrast of a tumor's inside, HU", sum((c.contrast for c in sick), []))
    show("annotated segments", [c.segments for c in sick])
    show("share of the liver that is annotated",
         [c.annotated.sum() / c.liver.sum() for c in sick])
    print("best single HU threshold inside annotated segments, mean Dice (threshold):")
    print("  as it is   %.3f (%d)" % best_threshold(sick, [c.image for c in sick]))
    smooth = [ndimage.gaussian_filter(np.where(c.liver, c.image, c.level), (0, 2, 2)) for c in sick]
    print("  smoothed   %.3f (%d)" % best_threshold(sick, smooth))
    own = [c.image - c.level + 100 for c in sick]
    print("  each case's own liver level known (100)   %.3f (%d)" % best_threshold(sick, own))


if __name__ == "__main__":
    main()
