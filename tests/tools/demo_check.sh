#!/bin/sh
# demo_check.sh PROGRAM SOURCE-ROOT MOCK-FOLDER: the demo's graph from phantoms to scores, with
# trainings of two steps. Whatever the number of workers, checkpoints and masks are the same to the
# bit, and on a device that finishes later so are the parameters and masks.
set -eu
program=$1 graphs=$2/graphs mock=$3
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM

"$program" phantom "$where/data" --cases 3 --seed 5 >"$where/log" 2>&1 || { cat "$where/log"; exit 1; }
set -- --set "vars.data=$where/data/cases.csv"
for stage in $(sed -n 's/^  \([a-z_]*\): *{<<: \*segmenter,.*/\1/p' "$graphs/quick.yaml") \
    inpainter spotter segmenter; do
    set -- "$@" --set "$stage.steps=2"
done

# A data set that a later job cannot use is refused before anything is trained.
grep -v ',test,' "$where/data/cases.csv" >"$where/data/untested.csv"
if "$program" run "$graphs/quick.yaml" "$@" --set "vars.data=$where/data/untested.csv" \
    --out "$where/untested" >"$where/log" 2>&1; then
    echo "cases without a test case were accepted"
    exit 1
fi
grep -q "stage 'test'.*in split test" "$where/log" || { cat "$where/log"; exit 1; }
[ ! -e "$where/untested/inpainter" ] || { echo "trained on cases that cannot be tested"; exit 1; }

for workers in 1 2; do
    "$program" run "$graphs/quick.yaml" "$@" --workers $workers --out "$where/$workers" \
        >"$where/log" 2>&1 || { cat "$where/log"; exit 1; }
done

export HEPAFLOW_PLUGIN_PATH="$mock"
"$program" run "$graphs/quick.yaml" "$@" --device mock --out "$where/mock" >"$where/log" 2>&1 ||
    { cat "$where/log"; exit 1; }

cd "$where"
seen=0
for file in $(find 1 -name '*.safetensors' -o -name '*.nii.gz' | sort); do
    seen=$((seen + 1))
    cmp "$file" "2/${file#1/}"
done
cmp 1/scores.json mock/scores.json
for file in $(find 1 -name '*.nii.gz' -o -name '*.safetensors'); do
    # Headers name the device; what stands behind them is all parameters.
    case $file in *.safetensors) bytes=100000 ;; *) bytes=1000000000 ;; esac
    tail -c $bytes "$file" >here
    tail -c $bytes "mock/${file#1/}" | cmp - here
done
rm here
[ $seen -ge 7 ] || { echo "only $seen checkpoints and masks: $(find 1 -type f)"; exit 1; }
for score in weak full pseudo baseline difference synthetic_only; do
    grep -q "\"$score\"" 1/scores.json || { echo "scores.json lacks $score"; exit 1; }
done
[ -s 1/report.html ] || { echo "no report"; exit 1; }
if grep -Eq '(src|href)="?https?:' 1/report.html; then
    echo "the report refers to the network"
    exit 1
fi
if find . -name '*.part' -o -name '*.tmp*' | grep .; then
    echo "half-written files stayed"
    exit 1
fi
