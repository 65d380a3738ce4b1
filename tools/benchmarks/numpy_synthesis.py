"""Draws lesions as tumor_synthesis's method `ellipsoid` does, in NumPy and SciPy.

usage: numpy_synthesis.py FOLDER D H W

Reads lines "TYPE SEED" as bench-synthesis does (see synthesis.c), and prints the same. Written from
the description of the method, not from the other program: the random fields are blurred voxel by
voxel, and their extremes and mean are those of the lesion's own block. Work is kept to the box
around a lesion, as there; neither uses more than one thread.
"""
import json
import sys
import time

import numpy as np
import scipy
from scipy import ndimage

HU = 1 / 450
COUNT = [(3, 10), (3, 10), (2, 5), (1, 3)]
MIX = [(3, 10), (5, 10), (2, 5), (1, 3)]
RADIUS = [(3, 5), (6, 10), (12, 20), (24, 40)]
SHIFT = [(0.5, 1), (1, 2), (3, 6), (5, 10)]


def texture(rng, shape):
    """Clouds: mean 0.5 to 0.55 where they are thick."""
    coarse = rng.choice([3, 6, 9, 12, 15])
    fine = rng.choice([4, 7])
    # A block of the size of the largest lesions, so that its extremes are not those of a speck.
    block = [max(n, 64) for n in shape]
    field = ndimage.gaussian_filter(rng.random(block, dtype=np.float32), coarse, mode='wrap')
    low, high = field.min(), field.max()
    base, span = rng.uniform(0.04, 0.06), rng.uniform(0.19, 0.21)
    share = (field - low) / (high - low) * span + base
    hits = (rng.random(block, dtype=np.float32) < share).astype(np.float32)
    hits = ndimage.gaussian_filter(hits, fine, mode='wrap')
    hits *= rng.uniform(0.5, 0.55) / hits[hits > 0.12].mean()
    return np.clip(hits[tuple(slice(n) for n in shape)], 0, 1)


def deform(rng, mask, sigma):
    """Three passes over pairs of axes, 3 x 3 control points each, to the nearest voxel."""
    for pair in ((0, 1), (1, 2), (0, 2)):
        size = [mask.shape[a] for a in pair]
        grid = np.meshgrid(*(np.linspace(0, 2, n) for n in size), indexing='ij')
        at = [np.arange(n) for n in mask.shape]
        for k, a in enumerate(pair):
            shift = ndimage.map_coordinates(rng.normal(0, sigma, (3, 3)), grid, order=3,
                                            mode='mirror')
            moved = np.arange(size[k]).reshape((-1, 1) if k == 0 else (1, -1)) + shift
            moved = np.rint(moved).astype(int)
            at[a] = np.where((moved < 0) | (moved >= size[k]), -1, moved)
        full = []
        for a in range(3):
            form = [1, 1, 1]
            if a in pair:
                for p in pair:
                    form[p] = mask.shape[p]
            else:
                form[a] = mask.shape[a]
            full.append(at[a].reshape(form))
        outside = (full[pair[0]] < 0) | (full[pair[1]] < 0)
        mask = mask[tuple(full)] & ~outside
    return mask


def add_lesion(rng, size, image, liver, lesion, healthy, extent):
    """One lesion, into `image` and `lesion`."""
    z = int(np.rint(rng.uniform(0.3, 0.7) * (extent[1] - extent[0]))) + extent[0]
    inner = ndimage.binary_erosion(liver[z], np.ones((5, 5)))
    rows, columns = np.nonzero(inner)
    pick = rng.integers(len(rows))
    centre = (z, rows[pick], columns[pick])
    radius = rng.uniform(*RADIUS[size], 3)
    half = np.floor(2 * radius).astype(int)
    axes = np.ogrid[tuple(slice(-h, h + 1) for h in half)]
    mask = sum((x / r) ** 2 for x, r in zip(axes, radius)) <= 1
    mask = deform(rng, mask, rng.uniform(*SHIFT[size]))
    edge = rng.uniform(1, 2)
    contrast = rng.uniform(65, 145) * HU
    low = [max(c - h, 0) for c, h in zip(centre, half)]
    high = [min(c + h + 1, n) for c, h, n in zip(centre, half, liver.shape)]
    mask = mask[tuple(slice(a - c + h, b - c + h)
                      for a, b, c, h in zip(low, high, centre, half))]
    mask &= liver[tuple(slice(a, b) for a, b in zip(low, high))]
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found or found[0] is None:
        return
    pad = int(np.ceil(3 * edge))
    mask = np.pad(mask[found[0]], pad)
    low = [a + s.start - pad for a, s in zip(low, found[0])]
    soft = ndimage.gaussian_filter(mask.astype(np.float32), edge, truncate=3, mode='constant')
    cut = tuple(slice(max(-a, 0), min(n - a, s)) for a, n, s in zip(low, liver.shape, mask.shape))
    at = tuple(slice(a + c.start, a + c.stop) for a, c in zip(low, cut))
    mask, soft = mask[cut], soft[cut] * liver[at]
    body = -contrast * texture(rng, mask.shape)
    here = image[at]
    here += soft * (body - (here - healthy[at]))
    np.clip(here, 0, 1, out=here)
    lesion[at] |= mask


def draw(rng, kind, healthy, liver, couinaud):
    """A volume of that type: image, lesion, hole."""
    image, lesion = healthy.copy(), np.zeros(liver.shape, bool)
    slices = np.flatnonzero(liver.any((1, 2)))
    extent = slices[0], slices[-1]
    for size in range(4):
        if kind not in (size, 4):
            continue
        least, most = (MIX if kind == 4 else COUNT)[size]
        for _ in range(rng.integers(least, most + 1)):
            add_lesion(rng, size, image, liver, lesion, healthy, extent)
    taken = np.zeros(256, bool)
    taken[np.unique(couinaud[lesion])] = True
    return image, lesion, taken[couinaud] & liver


def main():
    if sys.argv[1:] == ['--version']:
        print(json.dumps({'numpy': np.__version__, 'scipy': scipy.__version__}))
        return
    folder, shape = sys.argv[1], tuple(int(n) for n in sys.argv[2:5])
    healthy = np.fromfile(folder + '/image.f32', np.float32).reshape(shape)
    liver = np.fromfile(folder + '/liver.u8', np.uint8).reshape(shape).astype(bool)
    couinaud = np.fromfile(folder + '/couinaud.u8', np.uint8).reshape(shape)
    for line in sys.stdin:
        words = line.split()
        rng = np.random.default_rng(int(words[1]))
        start, cpu = time.perf_counter(), time.process_time()
        image, lesion, _ = draw(rng, int(words[0]), healthy, liver, couinaud)
        ms, cpu_ms = (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3
        change = (image - healthy) / HU
        under = change[lesion].astype(float)
        print(json.dumps({'ms': ms, 'cpu_ms': cpu_ms, 'voxels': int(lesion.sum()),
                          'hu': float(under.mean()) if under.size else 0,
                          'sd': float(under.std()) if under.size else 0}), flush=True)
        if len(words) > 2:
            change.tofile(words[2])


main()
