#!/bin/bash
# store_check.sh PROGRAM GRAPH: what the program reuses, and that this is the same to the bit, also
# after entries were damaged, runs were killed, and when two run at once.
set -eu
program=$(realpath "$1") graph=$(realpath "$2")
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"
export HEPAFLOW_STORE=$where/store
fail() {
    echo "$1"
    cat log
    exit 1
}
run() {
    "$program" run "$graph" --set "vars.data=$where/data/cases.csv" "$@" >log 2>&1 ||
        fail "run $* failed"
}
# Everything but when it was done, and whether it was reused.
same() {
    diff -r -x run.json -x resolved.yaml -x report.html -x report.json "$1" "$2" >>log || fail "$1 and $2 differ"
    python3 - "$@" <<'PY' || fail "the reports of $1 and $2 differ"
import json, sys
a, b = (json.load(open(folder + "/report.json")) for folder in sys.argv[1:])
sys.exit(any(a[part] != b[part] for part in ("scores", "sections", "ledger", "plan")))
PY
}
state_is() { # FOLDER JOB STATE
    python3 - "$@" <<'PY' || fail "$1: expected job '$2' to be $3"
import json, sys
jobs = {j["name"]: j["state"] for j in json.load(open(sys.argv[1] + "/run.json"))["jobs"]}
sys.exit(jobs[sys.argv[2]] != sys.argv[3])
PY
}

"$program" phantom data --cases 4 --seed 5 >log 2>&1 || fail "no phantoms"
[ ! -e store ] || fail "phantoms were put into the store"
run --no-store --out plain
[ ! -e store ] || fail "--no-store made a store"
run --set store=no --out none
[ ! -e store ] || fail "a graph with 'store: no' made a store"
same plain none

# Made, then reused, into another folder and over what is there.
run --out first
same plain first
for job in filler finder scores; do state_is first $job run; done
run --out second
same first second
for job in filler finder scores; do state_is second $job reused; done
grep -q '^\[3/3\] scores reused$' log || fail "it does not say what was reused"
echo broken >second/masks/cases.csv
rm second/filler/loss.csv
run --out second --workers 1
same first second

# What does not depend on the change is reused, and the rest comes as it does without a store.
run --out changed --set pseudo.value=0.1
run --out changed-plain --set pseudo.value=0.1 --no-store
same changed changed-plain
state_is changed filler reused
state_is changed finder run
run --out pictures --set pictures.cases=1
state_is pictures finder reused
state_is pictures scores run
grep -q 'reused scores, masks' log || fail "of the last job only the pictures had changed"
run --out fresh --fresh
state_is fresh filler run
same first fresh

# What would be made again, and why.
why() { # ANSWER STAGE...
    "$program" why "$graph" --set "vars.data=$where/data/cases.csv" "${@:2}" >log 2>&1 ||
        fail "why ${*:2} failed"
    grep -qF -- "$1" log || fail "why ${*:2}: expected '$1'"
}
run --out first
why 'filler: nothing: it is in the store' filler
why '  would run: finder, scores, masks, pictures' filler --set pseudo.value=0.7
why 'pseudo: pseudo.value 0.2 -> 0.7' pseudo --set pseudo.value=0.7
why 'never run before' filler --set name=unheard --set filler.steps=5
"$program" plan "$graph" --set "vars.data=$where/data/cases.csv" >log
grep -q 'filler (train, stored)' log || fail "the plan does not mark what is stored"
image=$(ls data/train*_image.nii.gz | sed -n 1p)
cp -p "$image" image
cp "$(ls data/train*_image.nii.gz | sed -n 2p)" "$image"
why "$image changed" filler
mv image "$image"
why 'nothing: it is in the store' filler

# The store as a whole.
"$program" store list >log
grep -q 'filler of small' log || fail "the store does not list what it has"
mkdir store/aside/999999999-0-0
touch -d '2 days ago' store/aside/999999999-0-0
"$program" store verify >log
grep -q 'are whole, 0 were damaged' log || fail "a good store does not verify"
[ -z "$(ls store/aside)" ] || fail "what a stopped run left aside stays"
cp -r store kept
echo more >>"$(ls -d store/results/*/*/ | sed -n 1p)/0"
"$program" store verify >log
grep -q ' 1 were damaged' log || fail "verify does not find damage"
"$program" store prune --size 20kB >log
[ "$(du -sb store/results | cut -f1)" -lt 2000000 ] || fail "prune leaves too much"
[ "$(find store/results -name entry | wc -l)" -lt "$(find kept/results -name entry | wc -l)" ]
"$program" store prune --size 0 >log
[ -z "$(find store/results -name entry)" ] || fail "prune to nothing leaves something"
why 'filler: nothing has changed, but it is not in the store' filler
rm -rf store
mv kept store

# A damaged file of an entry is found, told and made again.
entry_of() { # RESULT of the first run
    python3 - "$1" <<'PY'
import json, sys
for job in json.load(open("first/run.json"))["jobs"]:
    for result in job["results"]:
        if result["stage"] == sys.argv[1]:
            print("store/results/%s/%s" % (result["key"][:2], result["key"]))
PY
}
filler=$(entry_of filler) masks=$(entry_of masks)
for file in "$filler"/entry "$filler"/terms "$filler"/[0-9] "$masks"/entry "$masks"/0; do
    python3 - "$file" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)
PY
    rm -rf out
    run --out out
    grep -q 'its result in the store is damaged, and is made again' log || fail "$file: not told"
    same first out
done
for file in "$masks"/entry "$masks"/0 "$filler"/0; do
    truncate -s +9T "$file" 2>>log || truncate -s +1G "$file"
    rm -rf mended
    run --out mended
    grep -q 'its result in the store is damaged' log || fail "$file, too long: not told"
    same first mended
    rm -rf "$file" mended && mkdir "$file"
    run --out mended
    grep -q 'its result in the store is damaged' log || fail "$file, a folder: not told"
    same first mended
    truncate -s -1 "$file"
    rm -rf out
    run --out out
    grep -q 'its result in the store is damaged' log || fail "$file, cut: not told"
    rm -rf "$file" out
    run --out out
    grep -q 'its result in the store is damaged' log || fail "$file, gone: not told"
    same first out
done
run --out out
if grep -q damaged log; then
    fail "an entry that was made again is damaged"
fi

# A training whose result is gone is left out where nothing needs it, and comes back where one does.
rm -r "$filler"
run --out without
state_is without filler "left out"
cmp first/scores.json without/scores.json
run --out with --set pseudo.value=0.15
state_is with filler run

# A run that fails or is stopped keeps the jobs that were done; one that is killed leaves nothing that
# would not be made again.
rm -rf store out
mkdir out
touch out/masks
if "$program" run "$graph" --set "vars.data=$where/data/cases.csv" --out out >log 2>&1; then
    fail "it wrote into a file"
fi
rm -r out
run --out out
state_is out filler reused
state_is out finder reused
state_is out scores run
same first out
rm -rf store
for pause in 0.05 0.15 0.25 0.35 0.5 0.65 0.8 1; do
    timeout -s KILL $pause "$program" run "$graph" --set "vars.data=$where/data/cases.csv" \
        --out killed >log 2>&1 || true
done
timeout -s INT 0.4 "$program" run "$graph" --set "vars.data=$where/data/cases.csv" \
    --out killed >log 2>&1 || true
rm -rf killed
run --out killed
same first killed

# Two at once.
rm -rf store
"$program" run "$graph" --set "vars.data=$where/data/cases.csv" --out one >log-one 2>&1 &
run --out two
wait $! || fail "the other one of two runs failed"
same first one
same first two
run --out three
for job in filler finder scores; do state_is three $job reused; done
[ -z "$(ls store/aside)" ] || fail "something stayed aside: $(ls store/aside)"
