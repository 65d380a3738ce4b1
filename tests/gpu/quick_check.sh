#!/bin/sh
# quick_check.sh PROGRAM SOURCE-ROOT: the quick graph, from phantoms to scores, on the CPU and on a GPU.
# The scores are close, and the GPU gives the same masks to the bit when it runs again. Exit status 77
# without a GPU.
set -eu
program=$1 graph=$2/graphs/quick.yaml
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
unset OMP_NUM_THREADS # of tests that run side by side; this one has the machine for itself

"$program" version | grep -q '^device cuda: cuda' || {
    "$program" version | grep '^device cuda' || echo 'no device cuda'
    exit 77
}
"$program" phantom "$where/data" --cases 30 --seed 66 >"$where/log" 2>&1 ||
    { cat "$where/log"; exit 1; }
for run in cpu cuda again; do
    device=$run
    [ $run = again ] && device=cuda
    start=$(date +%s)
    "$program" run "$graph" --set "vars.data=$where/data/cases.csv" --device $device \
        --out "$where/$run" >"$where/log" 2>&1 || { tail -n 30 "$where/log"; exit 1; }
    echo "$run: $(($(date +%s) - start)) s"
done

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

cpu, cuda = (json.load(open(f'{d}/scores.json', encoding='utf-8')) for d in ('cpu', 'cuda'))
bad = 0
for name in ('full', 'weak', 'pseudo', 'baseline', 'difference', 'synthetic_only'):
    a, b = cpu[name]['dice'], cuda[name]['dice']
    far = abs(a - b) > 0.03
    bad += far
    print(f'{name:15} Dice {a:.3f} on the CPU, {b:.3f} on the GPU{"  TOO FAR" if far else ""}')
sys.exit(bad > 0)
PY
