#!/bin/sh
# shared_check.sh PROGRAM SOURCE-ROOT: three thresholds times two spotters train the inpainter once and
# the spotter once, one run after another or several at once, and score what six runs score that share
# nothing, to the bit.
set -eu
program=$(realpath "$1") graph=$2/graphs/ablations/quick.yaml
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"
fail() {
    echo "$1"
    cat log
    exit 1
}
"$program" phantom data --cases 3 --seed 5 >log 2>&1 || fail "no phantoms"
set -- --set "vars.data=$where/data/cases.csv" --set inpainter.steps=2 --set spotter.steps=2 \
    --set segmenter.steps=2 --set 'prepared.spacing=[8, 4, 4]' --set 'prepared.size=[64, 64]'

# How many of the runs below a folder have trained a model themselves.
trained() {
    find "$2" -name run.json -exec python3 -c '
import json, sys
for path in sys.argv[2:]:
    for job in json.load(open(path))["jobs"]:
        if job["name"] == sys.argv[1] and job["state"] == "run":
            print(path)' "$1" {} + | wc -l
}

for jobs in 1 3; do
    "$program" sweep "$graph" "$@" --axis pseudo.value=0.3,0.5,0.7 --axis difference.use=spot,absdiff \
        --jobs $jobs --store store-$jobs --out at-$jobs >log 2>&1 || fail "the sweep failed"
    for model in inpainter spotter; do
        [ "$(trained $model at-$jobs)" = 1 ] ||
            fail "$model was trained $(trained $model at-$jobs) times with --jobs $jobs"
    done
    grep -q 'jobs reused$' log || fail "the sweep does not say what it reused"
done
cmp at-1/sweep.csv at-3/sweep.csv
cmp at-1/sweep.json at-3/sweep.json

seen=0
for value in 0.3 0.5 0.7; do
    for use in spot absdiff; do
        arm="value=$value,use=$use/seed-66"
        "$program" run "$graph" "$@" --seed 66 --set pseudo.value=$value --set difference.use=$use \
            --no-store --out "alone/$arm" >log 2>&1 || fail "a run failed"
        for file in scores.json scores/cases.json scores/cases.csv pseudo_scores/cases.csv; do
            cmp "alone/$arm/$file" "at-1/$arm/$file"
            seen=$((seen + 1))
        done
    done
done
[ $seen = 24 ] || fail "compared $seen files, expected 24"
[ "$(trained inpainter alone)" = 6 ] || fail "the six runs that share nothing did not train"
