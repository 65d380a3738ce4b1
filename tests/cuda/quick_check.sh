#!/bin/sh
# quick_check.sh PROGRAM SOURCE-ROOT FOLDER: a small graph from phantoms to scores on the CPU and on
# the emulated CUDA device, whose modules are in FOLDER: masks and scores agree, `auto` takes the
# device where it opens and says why where it does not, and without a GPU it is refused in one line.
set -eu
program=$(realpath "$1") source=$(realpath "$2") modules=$(realpath "$3")
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
graph=$source/tests/cuda/quick.yaml
cd "$where"

run() { # NAME STATUS ARGUMENT...: what it says is in NAME.out and NAME.err
    name=$1 expected=$2 status=0
    shift 2
    "$program" "$@" --set vars.data=data/cases.csv >"$name.out" 2>"$name.err" || status=$?
    [ $status -eq $expected ] || {
        echo "$name: status $status, expected $expected"
        cat "$name.out" "$name.err"
        exit 1
    }
}
says() { # FILE WORDS
    grep -q -- "$2" "$1" || { echo "$1 does not say '$2':"; cat "$1"; exit 1; }
}

"$program" phantom data --cases 3 --seed 5 >log 2>&1 || { cat log; exit 1; }
run cpu 0 run "$graph" --device cpu --out cpu
if grep -qi cuda cpu.out cpu.err; then
    echo "a run on the CPU speaks of CUDA"
    exit 1
fi

export HEPAFLOW_PLUGIN_PATH="$modules" HEPAFLOW_EMULATION_STRICT=1
# By the way of `auto`, and named.
run plan 0 plan "$graph"
says plan.out '^device cuda$'
says plan.out 'copies image, liver, couinaud, tumor to cuda'
run cuda 0 run "$graph" --out cuda
says cuda.out '^device cuda: emulated GPU'
says cuda/report.html 'device cuda: emulated GPU'
strings=$(head -c 20000 cuda/segmenter/model.safetensors | tr -d '\\')
case $strings in
*'"precision":"f32","device":"cuda: emulated GPU'*) ;;
*) echo "the checkpoint does not name precision and device"; exit 1 ;;
esac

export HEPAFLOW_EMULATED_GPUS=0
run none 2 run "$graph" --device cuda --out none
says none.err "^hepaflow: device 'cuda': .* shows no GPU.*; use --device cpu or auto$"
[ "$(wc -l <none.err)" -eq 1 ] && [ ! -s none.out ] && [ ! -e none ]
run shown 0 plan "$graph" --device cuda
says shown.out 'copies .* to cuda'
run fallen 0 plan "$graph"
says fallen.out '^device cpu (cuda: .* shows no GPU.*)$'
if grep -q copies fallen.out; then
    echo "a plan for the CPU copies"
    exit 1
fi
run told 0 run "$graph" --device auto --out told --json
says told.out '"text":"device cpu (cuda: .* shows no GPU.*)"'
unset HEPAFLOW_EMULATED_GPUS

# A companion that does not load is named; asked for by name, the device is refused.
mkdir broken
for module in "$modules"/*.so; do ln -s "$module" broken; done
rm broken/holes.cuda.so
echo 'no module' >broken/holes.cuda.so
export HEPAFLOW_PLUGIN_PATH="$where/broken"
run refused 2 plan "$graph" --device cuda
says refused.err "'holes' (holes) cannot run on 'cuda': module .*holes.cuda.so' does not load"
run warned 0 plan "$graph"
says warned.err "'holes' (holes) runs on the CPU: module .*holes.cuda.so' does not load"
says warned.out "holes .*on the CPU for want of the op 'holes\."
# The same for the device's own module.
rm broken/cuda.so
echo 'no module' >broken/cuda.so
run lost 2 plan "$graph" --device cuda
says lost.err "^hepaflow: device 'cuda': module .*/cuda.so' does not load.*; use --device cpu or"
[ "$(wc -l <lost.err)" -eq 1 ] && [ ! -s lost.out ]
"$program" version >version.out
says version.out "^device cuda: module .*/cuda.so' does not load"
run without 0 plan "$graph"
says without.out "^device cpu (cuda: module .*/cuda.so' does not load"

cmp cpu/scores.json told/scores.json
python3 - <<'END'
import gzip, json, os, sys
masks = 0
for root, _, files in os.walk('cpu'):
    for name in files:
        path = os.path.join(root, name)
        if not name.endswith('.nii.gz'):
            continue
        a, b = (gzip.open(p).read()[352:] for p in (path, 'cuda' + path[3:]))
        assert len(a) == len(b), path
        wrong = sum(x != y for x, y in zip(a, b))
        inside = sum(x != 0 for x in a)
        masks += 1
        if inside == 0 or wrong > inside // 500 + 2:
            sys.exit(f'{path}: {wrong} voxels differ, {inside} are set')
assert masks >= 2, masks
cpu, cuda = (json.load(open(f'{d}/scores.json', encoding='utf-8')) for d in ('cpu', 'cuda'))
assert cpu.keys() == cuda.keys() and len(cpu) >= 2
for name, scores in cpu.items():
    x, y = scores['dice'], cuda[name]['dice']
    if abs(x - y) > 0.005:
        sys.exit(f'{name}: Dice {x} on the CPU, {y} on CUDA')
END
if find . -name '*.part' -o -name '*.tmp*' | grep .; then
    echo "half-written files stayed"
    exit 1
fi
