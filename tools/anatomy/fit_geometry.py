#!/usr/bin/env python3
"""fit_geometry.py - tunes the numbers of couinaud_geometry's `method: mask`.

Takes every second of the anatomies that the `phantom` stage ships (stages/phantom/anatomy) and looks
for the numbers with the best mean Dice over their segments, by an evolution strategy from a fixed
seed; prints them as the C table, and the Dice of both halves. Needs nibabel and NumPy; only a
maintainer ever runs it.

    fit_geometry.py stages/phantom/anatomy [GENERATIONS]
"""
import pathlib
import sys

import nibabel as nib
import numpy as np

VOXELS = 5000
# name, start, step: as in plugins/couinaud_geometry/from_mask.c
NUMBERS = [
    ("AXIS_X", 0.40, 0.05), ("AXIS_Y", 0.15, 0.05), ("TILT_X", 0.0, 0.1), ("TILT_Y", 0.0, 0.1),
    ("SHARE_M", 0.37, 0.03), ("SHARE_R", 0.55, 0.05), ("SHARE_L", 0.50, 0.05),
    ("ANGLE_M", -20, 5), ("ANGLE_R", -70, 5), ("ANGLE_L", 30, 5), ("ADAPT", 0.6, 0.1),
    ("RIGHT_X", 0.0, 0.1), ("RIGHT_Y", 0.0, 0.1), ("SHARE_7", 0.6, 0.05), ("SHARE_8", 0.6, 0.05),
    ("LEFT_X", 0.0, 0.2), ("LEFT_Y", -1.0, 0.3), ("SHARE_2", 0.45, 0.05),
    ("CAUDATE_X", -0.05, 0.03), ("CAUDATE_Y", 0.05, 0.03), ("CAUDATE_Z", 0.5, 0.05),
    ("CAUDATE_YX", 0.0, 0.2), ("CAUDATE_ZX", -0.5, 0.2), ("SHARE_1", 0.025, 0.004),
]
NAMES = [n for n, _, _ in NUMBERS]


def read(path):
    image = nib.as_closest_canonical(nib.load(path))
    segment = np.asarray(image.dataobj) & 15
    at = np.argwhere(segment > 0)
    rng = np.random.default_rng(1)
    at = at[rng.choice(len(at), min(VOXELS, len(at)), replace=False)]
    return at * np.array(image.header.get_zooms()[:3], float), segment[tuple(at.T)]


def segments(p, v):
    """The segment of each point p [n,3] (mm; right, anterior, superior)."""
    low, high = np.quantile(p, 0.01, 0), np.quantile(p, 0.99, 0)
    size = high - low
    q = p - (low + size * np.array([v["AXIS_X"], v["AXIS_Y"], 0.5]))
    x, y = q[:, 0] - v["TILT_X"] * q[:, 2], q[:, 1] - v["TILT_Y"] * q[:, 2]
    # counted from anterior to the left, so that the cut lies behind
    angle = np.degrees(np.arctan2(-x, y))

    def cut(values, share, angle_):
        found = np.quantile(values, share) if len(values) else angle_
        return v["ADAPT"] * found + (1 - v["ADAPT"]) * angle_

    def beyond(degrees):
        r = np.radians(degrees)
        return -x * np.cos(r) - y * np.sin(r) > 0

    left = beyond(cut(angle, 1 - v["SHARE_M"], v["ANGLE_M"]))
    front = beyond(cut(angle[~left], 1 - v["SHARE_R"], v["ANGLE_R"]))
    lateral = beyond(cut(angle[left], 1 - v["SHARE_L"], v["ANGLE_L"]))
    out = np.zeros(len(p), int)

    def split(where, sx, sy, share, above, below):
        height = q[:, 2] + sx * q[:, 0] + sy * q[:, 1]
        level = np.quantile(height[where], 1 - share) if where.any() else 0
        out[where] = np.where(height[where] > level, above, below)

    split(~left & ~front, v["RIGHT_X"], v["RIGHT_Y"], v["SHARE_7"], 7, 6)
    split(~left & front, v["RIGHT_X"], v["RIGHT_Y"], v["SHARE_8"], 8, 5)
    split(left & lateral, v["LEFT_X"], v["LEFT_Y"], v["SHARE_2"], 2, 3)
    out[left & ~lateral] = 4
    middle = low + size * np.array([v["AXIS_X"] + v["CAUDATE_X"], v["AXIS_Y"] + v["CAUDATE_Y"],
                                    v["CAUDATE_Z"]])
    c = (p - middle) * np.array([1, np.exp(v["CAUDATE_YX"]), np.exp(v["CAUDATE_ZX"])])
    far = (c**2).sum(1)
    out[far <= np.quantile(far, min(max(v["SHARE_1"], 0), 1))] = 1
    return out


def dices(out, truth):
    return [2 * ((out == k) & (truth == k)).sum() / max(1, (out == k).sum() + (truth == k).sum())
            for k in range(1, 9)]


def score(vector, cases):
    v = dict(zip(NAMES, vector))
    return np.mean([dices(segments(p, v), t) for p, t in cases])


def fit(cases, generations):
    """A plain CMA evolution strategy (Hansen, "The CMA evolution strategy: a tutorial")."""
    rng = np.random.default_rng(66)
    step = np.array([s for _, _, s in NUMBERS])
    mean = np.array([s for _, s, _ in NUMBERS], float)
    n, count = len(mean), 20
    weight = np.log(count / 2 + 0.5) - np.log(np.arange(1, count // 2 + 1))
    weight /= weight.sum()
    eff = 1 / (weight**2).sum()
    cs, cc = (eff + 2) / (n + eff + 5), (4 + eff / n) / (n + 4 + 2 * eff / n)
    c1 = 2 / ((n + 1.3) ** 2 + eff)
    cmu = min(1 - c1, 2 * (eff - 2 + 1 / eff) / ((n + 2) ** 2 + eff))
    damp = 1 + 2 * max(0, np.sqrt((eff - 1) / (n + 1)) - 1) + cs
    chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
    cov, ps, pc, sigma = np.eye(n), np.zeros(n), np.zeros(n), 0.7
    best = (-1, mean)
    for g in range(generations):
        values, base = np.linalg.eigh(cov)
        root = np.sqrt(np.maximum(values, 1e-12))
        y = (rng.normal(size=(count, n)) * root) @ base.T
        found = [score(mean + sigma * d * step, cases) for d in y]
        order = np.argsort(found)[::-1][: count // 2]
        best = max(best, (found[order[0]], mean + sigma * y[order[0]] * step), key=lambda b: b[0])
        move = weight @ y[order]
        mean = mean + sigma * move * step
        ps = (1 - cs) * ps + np.sqrt(cs * (2 - cs) * eff) * base @ ((base.T @ move) / root)
        pc = (1 - cc) * pc + np.sqrt(cc * (2 - cc) * eff) * move
        cov = (1 - c1 - cmu) * cov + c1 * np.outer(pc, pc)
        cov += cmu * (y[order].T * weight) @ y[order]
        sigma *= np.exp(cs / damp * (np.linalg.norm(ps) / chi - 1))
        if g % 50 == 0:
            print(f"{g}: {found[order[0]]:.4f} (step {sigma:.3f})", file=sys.stderr, flush=True)
    return mean if score(mean, cases) > best[0] else best[1]


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.nii.gz"))
    cases = [read(p) for p in paths]
    vector = fit(cases[0::2], int(sys.argv[2]) if len(sys.argv) > 2 else 400)
    for name, value in zip(NAMES, vector):
        print(f"    [{name}] = {value:.4g},")
    for name, half in (("tuned on", cases[0::2]), ("held out", cases[1::2])):
        v = dict(zip(NAMES, vector))
        each = np.array([dices(segments(p, v), t) for p, t in half])
        print(f"{name}: {each.mean():.3f}; by segment", each.mean(0).round(3))


if __name__ == "__main__":
    main()
