#!/bin/sh
# quick_check.sh PROGRAM SOURCE-ROOT: the quick graph, from phantoms to scores, on the CPU and on a GPU.
# In float32 the scores are close; in the GPU's own precision, which ends hundreds of steps elsewhere,
# they are not far; and the GPU gives the same masks to the bit when it runs again. Exit status 77 without
# a GPU.
set -eu
program=$1 graph=$2/graphs/quick.yaml
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
unset OMP_NUM_THREADS # of tests that run side by side; this one has the machine for itself

devices=$("$program" version)
echo "$devices" | grep -q '^device cuda: cuda' || {
    echo "$devices" | grep '^device cuda' || echo 'no device cuda'
    exit 77
}
"$program" phantom "$where/data" --cases 30 --seed 66 >"$where/log" 2>&1 ||
    { cat "$where/log"; exit 1; }
set -- --set "vars.data=$where/data/cases.csv"
networks=$("$program" plan "$graph" "$@" --json | python3 -c 'import json, sys
for s in json.load(sys.stdin)["stages"]:
    if s["use"] in ("train", "inpaint", "spot", "segment"):
        print(s["name"])')
for run in cpu cuda again; do
    device=cuda
    [ $run = cpu ] && device=cpu
    start=$(date +%s)
    "$program" run "$graph" "$@" --device $device --out "$where/$run" >"$where/log" 2>&1 ||
        { tail -n 30 "$where/log"; exit 1; }
    echo "$run: $(($(date +%s) - start)) s"
done
for name in $networks; do
    set -- "$@" --set "$name.precision=f32"
done
"$program" run "$graph" "$@" --device cuda --out "$where/f32" >"$where/log" 2>&1 ||
    { tail -n 30 "$where/log"; exit 1; }

cd "$where"
masks=0
for file in $(find cuda -name '*.nii.gz' | sort); do
    masks=$((masks + 1))
    cmp "$file" "again/${file#cuda/}"
done
[ $masks -gt 10 ] || { echo "only $masks masks"; exit 1; }
python3 - <<'PY'
import json
import sys

cpu, cuda, f32 = (json.load(open(f'{d}/scores.json', encoding='utf-8'))
                  for d in ('cpu', 'cuda', 'f32'))
bad = 0
for name in ('full', 'weak', 'pseudo', 'baseline', 'difference', 'synthetic_only'):
    a, b, c = (scores[name]['dice'] for scores in (cpu, f32, cuda))
    far = abs(a - b) > 0.03 or abs(a - c) > 0.1
    bad += far
    print(f'{name:15} Dice {a:.3f} on the CPU; on the GPU {b:.3f} in f32, {c:.3f} by default'
          f'{"  TOO FAR" if far else ""}')
sys.exit(bad > 0)
PY
