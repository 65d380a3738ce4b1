#!/usr/bin/env python3
"""make_anatomy.py - makes the anatomies that the `phantom` stage ships.

Reads Couinaud maps, liver masks and vessel masks (folders label/, liver/, vessel/ below each of
3Dircadb/ and LiTS/ of the Couinaud-Segmentation data) and writes one small NIfTI file an anatomy:
canonical RAS, 2 x 2 x 3 mm, cropped to the liver with a margin, one byte a voxel (low nibble: the
Couinaud segment 1..8, 0 outside the liver; high nibble: the share of the voxel that is vessel, in
fifteenths). Needs nibabel, numpy and scipy; only a maintainer ever runs it.

    make_anatomy.py SOURCE_FOLDER stages/phantom/anatomy
"""
import gzip
import io
import pathlib
import sys

import nibabel as nib
import numpy as np
from scipy import ndimage

SPACING = (2.0, 2.0, 3.0)
MARGIN_MM = 9.0
# 3Dircadb-1 is the patient that the method is tested on, so no phantom may look like it. LiTS 28 to
# 47 are copies of 3D-IRCADb patients whose headers lost spacing and orientation.
LEFT_OUT = {"3Dircadb-1"} | {f"LiTS-{i}" for i in range(28, 48)}


def canonical(path):
    """The array of a file in RAS order, with its spacing."""
    image = nib.as_closest_canonical(nib.load(path))
    if nib.aff2axcodes(image.affine) != ("R", "A", "S"):
        raise ValueError(f"{path}: cannot be brought to RAS")
    return np.asarray(image.dataobj), np.array(image.header.get_zooms()[:3], dtype=float)


def averaging(n_in, step_in, n_out, step_out):
    """Matrix [n_out, n_in]: the share of each input cell in each output cell of one axis."""
    lo_out = np.arange(n_out)[:, None] * step_out
    lo_in = np.arange(n_in)[None, :] * step_in
    overlap = np.minimum(lo_out + step_out, lo_in + step_in) - np.maximum(lo_out, lo_in)
    return np.clip(overlap, 0, None).astype(np.float32) / np.float32(step_out)


def shrink(mask, spacing):
    """The mean of `mask` over each output voxel."""
    out = mask.astype(np.float32)
    for axis in range(3):
        n_out = int(np.ceil(mask.shape[axis] * spacing[axis] / SPACING[axis]))
        weights = averaging(mask.shape[axis], spacing[axis], n_out, SPACING[axis])
        out = np.moveaxis(np.tensordot(weights, out, axes=(1, axis)), 0, axis)
    return out


def make(label_path, liver_path, vessel_path):
    label, spacing = canonical(label_path)
    liver, _ = canonical(liver_path)
    vessel, _ = canonical(vessel_path)
    if not label.shape == liver.shape == vessel.shape:
        raise ValueError(f"{label_path}: the three masks differ in shape")
    whole = (label > 0) | (liver > 0)
    parts, count = ndimage.label(whole)
    sizes = np.bincount(parts.ravel())[1:]
    whole = parts == 1 + int(np.argmax(sizes))

    box = ndimage.find_objects(whole.astype(np.uint8))[0]
    margin = [int(np.ceil(MARGIN_MM / s)) for s in spacing]
    pads = [(m, m) for m in margin]
    box = tuple(slice(b.start, b.stop) for b in box)
    cut = [np.pad(a[box], pads) for a in (np.where(whole, label, 0), whole, (vessel > 0) & whole)]

    fraction = np.stack([shrink(cut[0] == k, spacing) for k in range(1, 9)])
    inside = shrink(cut[1], spacing) > 0.5
    inside = ndimage.binary_fill_holes(inside)
    best = fraction.argmax(axis=0) + 1
    known = fraction.max(axis=0) > 0
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    segment = np.where(inside, best[tuple(nearest)], 0).astype(np.uint8)
    share = np.where(inside, np.rint(15 * np.clip(shrink(cut[2], spacing), 0, 1)), 0)
    return segment | (share.astype(np.uint8) << 4)


def check(name, packed):
    """Orientation by anatomy: the segments must lie the right way round."""
    segment = packed & 15
    centre = {k: np.array(ndimage.center_of_mass(segment == k)) for k in range(1, 9)}
    for k in range(1, 9):
        if not (segment == k).any():
            raise ValueError(f"{name}: no segment {k}")
    right = min(centre[6][0], centre[7][0]) > max(centre[2][0], centre[3][0])
    above = centre[8][2] > centre[5][2] and centre[7][2] > centre[6][2]
    behind = centre[7][1] < centre[4][1] and centre[1][1] < centre[4][1]
    if not (right and above and behind):
        raise ValueError(f"{name}: segments lie the wrong way: {right} {above} {behind}")


def save(path, packed):
    affine = np.diag([*SPACING, 1.0])
    image = nib.Nifti1Image(packed, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    raw = io.BytesIO()
    image.to_file_map({"image": nib.FileHolder(fileobj=raw), "header": nib.FileHolder(fileobj=raw)})
    path.write_bytes(gzip.compress(raw.getvalue(), 9, mtime=0))


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    total = 0
    for folder, prefix in (("3Dircadb", "ircadb"), ("LiTS", "lits")):
        for label_path in sorted((source / folder / "label").glob("*.nii.gz")):
            name = label_path.name.removesuffix(".nii.gz")
            if name in LEFT_OUT:
                continue
            try:
                packed = make(label_path, *(source / folder / kind / label_path.name
                                            for kind in ("liver", "vessel")))
                check(name, packed)
            except ValueError as error:
                print(f"left out: {error}")
                continue
            path = target / f"{prefix}-{int(name.split('-')[1]):02d}.nii.gz"
            save(path, packed)
            total += path.stat().st_size
            ml = np.prod(SPACING) / 1000
            print(f"{path.name} {packed.shape} liver {(packed & 15 > 0).sum() * ml:.0f} ml "
                  f"vessel {(packed >> 4).sum() / 15 * ml:.1f} ml {path.stat().st_size} bytes")
    print(f"{total} bytes in all")


if __name__ == "__main__":
    main()
