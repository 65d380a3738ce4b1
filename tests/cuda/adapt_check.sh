#!/bin/sh
# adapt_check.sh PROGRAM SOURCE-ROOT FOLDER: a spotter that goes on learning at test time, on the CPU
# and on the emulated CUDA device, whose modules are in FOLDER. The scores of both agree, about so in
# bf16, and are not those of a spotter that stays as it is.
set -eu
program=$(realpath "$1") graph=$(realpath "$2")/tests/cuda/adapt.yaml modules=$(realpath "$3")
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"

run() { # OUT ARGUMENT...
    "$program" run "$graph" --out "$@" >log 2>&1 || { cat log; exit 1; }
}

"$program" phantom data --cases 3 --seed 5 >log 2>&1 || { cat log; exit 1; }
run cpu --device cpu
run still --device cpu --set difference.adapt=0
export HEPAFLOW_PLUGIN_PATH="$modules" HEPAFLOW_EMULATION_STRICT=1
run f32 --device cuda
run bf16 --device cuda --set vars.precision=bf16

python3 - <<'END'
import glob, gzip, struct, sys

def scores(out):
    paths = sorted(glob.glob(out + '/kept/*score*'))
    assert paths, out
    raw = b''.join(gzip.open(p).read()[352:] for p in paths)
    return struct.unpack(f'<{len(raw) // 4}f', raw)

cpu = scores('cpu')
inside = [i for i, v in enumerate(cpu) if v > 0]
assert len(inside) > 100
apart = {}
for out in ('still', 'f32', 'bf16'):
    found = scores(out)
    assert len(found) == len(cpu), out
    apart[out] = sum(abs(found[i] - cpu[i]) for i in inside) / len(inside)
print(apart)
if not (apart['f32'] < 1e-4 and apart['f32'] < apart['bf16'] < 0.3 * apart['still']):
    sys.exit('scores of spotters that adapt on the CPU, beside other ones: ' + str(apart))
END
