#!/usr/bin/env python3
"""evaluate.py - the measures of the stage `evaluate` in NumPy and SciPy, from their definitions.

    evaluate.py table                            prints tests/stages/evaluate_table.h
    evaluate.py compare HEPAFLOW FOLDER [DATA]   runs hepaflow on random masks (and on the real ones
                                                 of DATA) and compares each number that it writes

Nothing here is shared with the C code: components by scipy.ndimage.label, surfaces by
binary_erosion, distances by a k-d tree of the surface points. Exits with 77 where SciPy is not
there.
"""
import csv
import json
import math
import pathlib
import subprocess
import sys

try:
    import numpy as np
    from scipy import ndimage
    from scipy.spatial import cKDTree
except ImportError:
    sys.exit(77)

TOLERANCE = 2.0
LARGE = 9001.0
NAN = math.nan

# ---- the measures ----


def overlap(t, p):
    a, b, c = int(t.sum()), int(p.sum()), int((t & p).sum())
    dice = 2 * c / (a + b) if a + b else 1.0
    jaccard = c / (a + b - c) if a + b else 1.0
    return {
        "dice": dice,
        "jaccard": jaccard,
        "voe": 1 - jaccard,
        "rvd": (b - a) / a if a else (0.0 if b == 0 else NAN),
        "rvd_lits": (a - b) / b if a and b else LARGE,
    }


def surface_points(mask, spacing):
    inner = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 2))
    return np.argwhere(mask & ~inner) * np.asarray(spacing)


def surfaces(t, p, spacing):
    names = ("assd", "rmsd", "msd", "hd95", "nsd")
    st, sp = surface_points(t, spacing), surface_points(p, spacing)
    if len(st) == 0 or len(sp) == 0:
        out = dict.fromkeys(names, NAN)
        out["nsd"] = NAN if len(st) == len(sp) else 0.0
        return out
    dt, dp = cKDTree(sp).query(st)[0], cKDTree(st).query(sp)[0]
    both = np.concatenate([dt, dp])
    # hepaflow's distances are in single precision: a hair's breadth decides at the tolerance
    return {
        "assd": both.mean(),
        "rmsd": math.sqrt((both**2).mean()),
        "msd": both.max(),
        "hd95": max(np.percentile(dt, 95), np.percentile(dp, 95)),
        "nsd": (both.astype(np.float32) <= TOLERANCE).mean(),
    }


def lesions(t, p):
    """Counts, and the pairs that match at 0.5 as (true labels, predicted labels)."""
    lt, nt = ndimage.label(t)
    lp, np_ = ndimage.label(p)
    common = np.zeros((nt + 1, np_ + 1), int)
    np.add.at(common, (lt.ravel(), lp.ravel()), 1)
    sizes_t, sizes_p = common.sum(1), common.sum(0)
    inner = common.copy()
    inner[0], inner[:, 0] = 0, 0
    # true lesions with one and the same largest prediction are one
    groups = {}
    for i in range(1, nt + 1):
        j = int(inner[i].argmax())
        groups.setdefault(("p", j) if inner[i, j] else ("t", i), []).append(i)
    groups = sorted(groups.values())
    # each prediction goes with the group that it overlaps most
    members = [[] for _ in groups]
    for j in range(1, np_ + 1):
        sums = [inner[g, j].sum() for g in groups]
        if sums and max(sums):
            members[int(np.argmax(sums))].append(j)
    found = right = 0
    lits = [0, 0]
    pairs = []
    for g, m in zip(groups, members):
        if not m:
            continue
        both = inner[np.ix_(g, m)].sum()
        iou = both / (sizes_t[g].sum() + sizes_p[m].sum() - both)
        lits[0] += 1
        if iou > 0.5:
            found += len(g)
            right += len(m)
            lits[1] += 1
            pairs.append((np.isin(lt, g), np.isin(lp, m), len(g), len(m)))
        else:
            lits[1] += 1 - len(g)
    counts = {
        "lesions": nt,
        "lesions_found": int((inner.sum(1) > 0).sum()),
        "predicted_lesions": np_,
        "predicted_lesions_right": int((inner.sum(0) > 0).sum()),
        "lesions_found_iou50": found,
        "predicted_lesions_right_iou50": right,
        "lesions_lits": lits[0],
        "lesions_lits_iou50": lits[1],
    }
    return counts, pairs


def bounding(mask, others):
    where = [slice(max(s.start - 1, 0), s.stop + 1) for s in ndimage.find_objects(mask.astype(int))[0]]
    return [o[tuple(where)] for o in others]


def measure(t, p, liver, spacing):
    """One case: (row of cases.csv, rows of lesions.csv)."""
    t, p, liver = t != 0, p != 0, liver != 0
    voxel = float(np.prod(spacing)) / 1000
    whole_t, whole_p = liver | t, liver | p
    known = liver.any()
    burden = [m.sum() / w.sum() if known else NAN for m, w in ((t, whole_t), (p, whole_p))]
    if (t | p).any():
        t, p = bounding(t | p, (t, p))
    row = overlap(t, p) | surfaces(t, p, spacing)
    for k in ("assd", "rmsd", "msd"):
        row[k + "_lits"] = row[k] if t.any() and p.any() else LARGE
    row["burden_truth"], row["burden_predicted"] = burden
    row["volume_truth_ml"], row["volume_predicted_ml"] = t.sum() * voxel, p.sum() * voxel
    counts, pairs = lesions(t, p)
    row |= counts
    rows = []
    for mt, mp, nt, np_ in pairs:
        a, b = bounding(mt | mp, (mt, mp))
        rows.append({"lesions": nt, "predicted_lesions": np_, "volume_truth_ml": a.sum() * voxel,
                     "volume_predicted_ml": b.sum() * voxel} | overlap(a, b)
                    | surfaces(a, b, spacing))
    return row, rows


def mean(values):
    values = [v for v in values if math.isfinite(v)]
    return sum(values) / len(values) if values else NAN


def pooled(rows, pairs):
    """What the result says of all cases."""
    out = {}
    for k in ("dice", "voe", "rvd", "rvd_lits", "assd", "hd95", "jaccard", "rmsd", "msd", "nsd",
              "assd_lits", "rmsd_lits", "msd_lits", "burden_truth", "burden_predicted"):
        out[k] = mean([r[k] for r in rows])
    for k in ("dice", "voe", "rvd", "rvd_lits", "assd", "hd95", "jaccard", "rmsd", "msd", "nsd"):
        out["lesion_" + k] = mean([r[k] for r in pairs])
    total = {k: sum(r[k] for r in rows) for k in rows[0] if k.startswith(("lesions", "predicted_l"))}
    share = lambda a, b: a / b if b else NAN
    for name, t, p in (("", "lesions_found", "predicted_lesions_right"),
                       ("_iou50", "lesions_found_iou50", "predicted_lesions_right_iou50"),
                       ("_lits", "lesions_lits", "lesions_lits"),
                       ("_lits_iou50", "lesions_lits_iou50", "lesions_lits_iou50")):
        out["lesion_recall" + name] = share(total[t], total["lesions"])
        out["lesion_precision" + name] = share(total[p], total["predicted_lesions"])
    errors = [r["burden_truth"] - r["burden_predicted"] for r in rows]
    errors = [e for e in errors if math.isfinite(e)]
    out["burden_rmse"] = math.sqrt(mean([e * e for e in errors])) if errors else NAN
    out["burden_max"] = max(map(abs, errors), default=NAN)
    out["burden_max_lits"] = max(errors, default=NAN)
    out["lesion_pairs"] = len(pairs)
    return out


# ---- masks from a formula, the same in test_evaluate_table.c ----


class Draw:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 16) % n


def ellipsoid(mask, c, r):
    z, y, x = np.ogrid[tuple(slice(0, s) for s in mask.shape)]
    q = [((z - c[0]) * r[1] * r[2]) ** 2, ((y - c[1]) * r[0] * r[2]) ** 2, ((x - c[2]) * r[0] * r[1]) ** 2]
    mask[q[0] + q[1] + q[2] <= (r[0] * r[1] * r[2]) ** 2] = 1


def formula_case(seed):
    """(truth, prediction, liver, spacing) of a case; masks [D,H,W]."""
    d = Draw(seed)
    size = [6 + d.below(7), 10 + d.below(9), 10 + d.below(11)]
    spacing = [(5 + d.below(40)) / 10, (5 + d.below(15)) / 10, (5 + d.below(15)) / 10]
    t, p, liver = (np.zeros(size, np.uint8) for _ in range(3))
    ellipsoid(liver, [s // 2 for s in size], [s // 2 for s in size])
    for _ in range(d.below(6)):
        c = [d.below(s) for s in size]
        r = [1 + d.below(3) for _ in range(3)]
        ellipsoid(t, c, r)
        what = d.below(5)
        if what == 0:
            continue
        if what > 1:
            c = [v + d.below(3) - 1 for v in c]
            r = [max(1, v + d.below(3) - 1) for v in r]
        ellipsoid(p, c, r)
    if d.below(2):
        for _ in range(d.below(3)):
            ellipsoid(p, [d.below(s) for s in size], [1 + d.below(2) for _ in range(3)])
    if d.below(3) == 0:  # a bar that joins
        p[size[0] // 2, size[1] // 2, :] = 1
    if d.below(3) == 0:  # a gap that splits
        p[:, :, d.below(size[2])] = 0
    if d.below(12) == 0:
        p[:] = 0
    return t, p, liver, spacing


COLUMNS = ("dice", "voe", "rvd", "rvd_lits", "assd", "hd95", "jaccard", "rmsd", "msd", "nsd",
           "assd_lits", "rmsd_lits", "msd_lits", "burden_truth", "burden_predicted", "lesions",
           "lesions_found", "predicted_lesions", "predicted_lesions_right", "lesions_found_iou50",
           "predicted_lesions_right_iou50", "lesions_lits", "lesions_lits_iou50")
CASES = 60


def number(v):
    return "NAN" if math.isnan(v) else f"{v:.6g}"


def table():
    rows, pairs = [], []
    print("/* Made by reference/evaluate.py table; the masks: formula_case in test_evaluate_table.c. */")
    print("#include <math.h>\n")
    print("static const char *const table_column[] = {")
    for k in COLUMNS:
        print(f'    "{k}",')
    print("};\n\nstatic const double table_case[][%d] = {" % len(COLUMNS))
    for seed in range(1, CASES + 1):
        row, some = measure(*formula_case(seed))
        rows.append(row)
        pairs += some
        print("    {" + ", ".join(number(row[k]) for k in COLUMNS) + "},")
    print("};\n\nstatic const struct {\n    const char *name;\n    double value;\n} table_all[] = {")
    for k, v in pooled(rows, pairs).items():
        print(f'    {{"{k}", {number(v)}}},')
    print("};")


# ---- against the program ----

GRAPH = """name: compare
seed: 1
stages:
  cases: {use: load, dataset: %s, split: all, require: [tumor]}
  scores: {use: evaluate, from: cases, field: image, truth: %s}
"""


def write_nifti(path, array, spacing):
    """[D,H,W] as an uncompressed NIfTI-1 in RAS."""
    header = bytearray(352)
    put = lambda at, kind, *v: header.__setitem__(
        slice(at, at + np.dtype(kind).itemsize * len(v)), np.array(v, kind).tobytes())
    put(0, "<i4", 348)
    put(40, "<i2", 3, array.shape[2], array.shape[1], array.shape[0], 1, 1, 1, 1)
    put(70, "<i2", 2, 8)
    put(76, "<f4", 1, spacing[2], spacing[1], spacing[0], 1, 1, 1, 1)
    put(108, "<f4", 352, 1, 0)
    put(123, "<u1", 2)
    put(252, "<i2", 0, 2)
    put(280, "<f4", spacing[2], 0, 0, -200, 0, spacing[1], 0, -200, 0, 0, spacing[0], -200)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + array.tobytes())


def read_nifti(path):
    import nibabel
    image = nibabel.as_closest_canonical(nibabel.load(path))
    array = np.asarray(image.dataobj).transpose(2, 1, 0)
    return np.ascontiguousarray(array), [float(v) for v in image.header.get_zooms()[:3]][::-1]


def random_case(rng):
    """Blobs of noise, and a prediction that shares some of it."""
    size = rng.integers(1, 40, 3)
    spacing = [float(np.float32(v)) for v in rng.uniform(0.4, 5, 3)]
    smooth = rng.uniform(0.5, 3)
    field = ndimage.gaussian_filter(rng.normal(size=size), smooth)
    other = ndimage.gaussian_filter(rng.normal(size=size), smooth)
    cut = lambda f, q: f > np.quantile(f, q)
    t = cut(field, rng.uniform(0.6, 0.99))
    p = cut(field + rng.choice([0.0, 0.2, 0.5, 2.0]) * other, rng.uniform(0.6, 0.99))
    kind = rng.integers(0, 12)
    if kind in (0, 2):
        t[:] = False
    if kind in (1, 2):
        p[:] = False
    if kind == 3:
        t[:] = True
    if kind == 4:
        p = t.copy()
    liver = ndimage.binary_dilation(t | cut(other, 0.7)) if kind else np.ones(size, bool)
    return t, p, liver, spacing


def real_cases(data):
    """Real tumors with predictions that are shifted, grown, shrunk, in part dropped, joined."""
    folder = pathlib.Path(data)
    sources = []
    tumor, spacing = read_nifti(folder / "ircadb01-case01/tumor.nii.gz")
    liver, _ = read_nifti(folder / "ircadb01-case01/liver.nii.gz")
    sources.append(("ircadb01", tumor != 0, liver != 0, spacing))
    both, spacing = read_nifti(folder / "lits-labels-0/segmentation-0.nii.gz")
    sources.append(("lits0", both == 2, both >= 1, spacing))
    for name, t, liver, spacing in sources:
        where = tuple(slice(max(s.start - 6, 0), s.stop + 6)
                      for s in ndimage.find_objects(liver.astype(int))[0])
        t, liver = t[where], liver[where]
        labels, n = ndimage.label(t)
        ball = ndimage.generate_binary_structure(3, 1)
        largest = 1 + int(np.argmax(ndimage.sum(t, labels, range(1, n + 1))))
        yield name + "-shifted", t, np.roll(t, (1, 3, -2), (0, 1, 2)), liver, spacing
        yield name + "-grown", t, ndimage.binary_dilation(t, ball, 3), liver, spacing
        yield name + "-shrunk", t, ndimage.binary_erosion(t, ball, 2), liver, spacing
        yield name + "-dropped", t, t & (labels != largest), liver, spacing
        yield name + "-joined", t, ndimage.binary_dilation(t, ball, 12) & liver, liver, spacing
        yield name + "-missed", t, np.zeros_like(t), liver, spacing


def close(got, want, absolute=2e-6):
    if got == "" or math.isnan(want):
        return got == "" and math.isnan(want)
    return abs(float(got) - want) <= 1e-5 * abs(want) + absolute


def check(got, want, keys, where):
    wrong = 0
    for k in keys:
        if not close(got[k], want[k]):
            print(f"{where}: {k}: {got[k]!r}, expected {want[k]:.8g}")
            wrong += 1
    return wrong


def compare(program, folder, data=None):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [(f"formula{s}",) + formula_case(s) for s in range(1, CASES + 1)]
    rng = np.random.default_rng(7)
    cases += [(f"random{i}",) + random_case(rng) for i in range(120)]
    cases += list(real_cases(data)) if data else []
    lines = ["case,patient,image,liver,tumor"]
    expected, pairs = [], []
    for name, t, p, liver, spacing in cases:
        spacing = [float(np.float32(v)) for v in spacing]
        row, some = measure(t, p, liver, spacing)
        expected.append((name, row))
        pairs += [(name, r) for r in some]
        # the prediction goes in as the image; load takes no liver mask that is empty
        known = ["image", "tumor"] + (["liver"] if liver.any() else [])
        for kind, mask in (("image", p), ("tumor", t), ("liver", liver)):
            if kind in known:
                write_nifti(folder / f"{name}-{kind}.nii", mask.astype(np.uint8), spacing)
        lines.append(f"{name},{name}," + ",".join(
            f"{name}-{k}.nii" if k in known else "" for k in ("image", "liver", "tumor")))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    wrong = 0
    for truth in ("truth", "tumor"):
        graph, out = folder / f"{truth}.yaml", folder / f"out-{truth}"
        graph.write_text(GRAPH % (folder / "cases.csv", truth))
        run = subprocess.run([program, "run", str(graph), "--out", str(out)], capture_output=True,
                             text=True)
        if run.returncode:
            sys.exit(run.stdout + run.stderr)
        got = {r["case"]: r for r in csv.DictReader(open(out / "scores/cases.csv"))}
        for name, row in expected:
            wrong += check(got[name], row, [k for k in row], name)
        lines = list(csv.DictReader(open(out / "scores/lesions.csv")))
        if len(lines) != len(pairs):
            sys.exit(f"{len(lines)} pairs of lesions, expected {len(pairs)}")
        order = {name: i for i, name in enumerate(got)}
        for line, (name, row) in zip(lines, sorted(pairs, key=lambda p: order[p[0]])):
            wrong += check(line, row, list(row), f"{name}, a lesion")
        result = json.load(open(out / "scores.json"))
        result = result.get("scores", result)
        result = {k: "" if v is None else v for k, v in result.items()}
        want = pooled([r for _, r in expected], [r for _, r in pairs])
        wrong += check(result, want, list(want), "all cases")
    print(f"{len(cases)} cases, {len(pairs)} pairs of lesions, {wrong} numbers differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        table()
    elif len(sys.argv) in (4, 5) and sys.argv[1] == "compare":
        sys.exit(compare(*sys.argv[2:]))
    else:
        sys.exit(__doc__)
