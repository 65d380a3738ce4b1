#!/bin/bash
# capsule_check.sh PROGRAM GRAPH: every run leaves a record of what it was made of and how it
# went, and two of them can be compared.
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
    "$program" run "$graph" --set vars.data=data/cases.csv "$@" >log 2>&1 || fail "run $* failed"
}

"$program" phantom data --cases 4 --seed 5 >log 2>&1 || fail "no phantoms"

# The record, with a store and without, and of a run that fails.
run --out first
run --out second --no-store
mkdir broken
touch broken/filler
if "$program" run "$graph" --set vars.data=data/cases.csv --out broken --fresh >log 2>&1; then
    fail "it wrote into a file"
fi
python3 - "$graph" <<'PY' || fail "the records are not as they should be"
import json, os, sys
first, second, broken = (json.load(open(k + "/run.json")) for k in ("first", "second", "broken"))
for one in first, second, broken:
    assert one["file"] == sys.argv[1] and one["folder"] == os.getcwd(), one
    assert one["settings"] == ["vars.data=data/cases.csv"] and one["seed"] == 3
    assert one["device"].startswith("device cpu") and one["runs_on"] == "cpu"
    assert one["started"] <= one["ended"] and one["seconds"] > 0
    files = {k["of"]: k["file"] for k in one["inputs"]}
    assert files["cases.dataset"] == "data/cases.csv"
    assert "data/train-000_image.nii.gz" in files.values()
    assert {"hepaflow", "cpu", "load", "train", "unet"} <= set(one["plugins"])
    assert one["ledger"]["failed"] in (0, 1)
assert first["outcome"] == second["outcome"] == "done" and "error" not in first
assert first["plugins"] == second["plugins"] and first["inputs"] == second["inputs"]
assert broken["outcome"] == "failed" and "filler" in broken["error"]
assert [k["name"] for k in first["jobs"]] == ["filler", "finder", "scores"]
assert all(k["seconds"] > 0 and k["state"] == "run" for k in first["jobs"])
PY
cmp first/resolved.yaml second/resolved.yaml || fail "one graph resolved in two ways"
"$program" plan first/resolved.yaml >log 2>&1 || fail "what a run leaves is no graph"

# What two runs differ in.
differ() { # STATUS DIR DIR LINE...
    local status=0
    "$program" diff "$2" "$3" >log 2>&1 || status=$?
    [ $status = "$1" ] || fail "diff $2 $3: exit status $status, not $1"
    for line in "${@:4}"; do
        grep -qE -- "$line" log || fail "diff $2 $3: expected '$line'"
    done
}
differ 0 first second
[ ! -s log ] || fail "two runs of the same differ"
run --out other --set pseudo.value=0.1 --seed 4
differ 1 first other '^seed 3 -> 4$' '^pseudo.value 0.2 -> 0.1$' '^finder/.* differs$' '^scores '

# A seed beyond the numbers of JSON.
run --out huge --seed 9007199254740993
"$program" rerun huge >log 2>&1 || fail "rerun of a large seed failed"
for one in huge huge-rerun; do
    grep -q '"seed":[[:space:]]*"9007199254740993"' $one/run.json || fail "the seed is another"
done
cp -r first touched
echo more >>touched/masks/cases.csv
rm touched/finder/loss.csv
differ 1 first touched '^masks/cases.csv differs$' '^finder/loss.csv is only in first$'
differ 1 touched first '^finder/loss.csv is only in first$'
[ "$(wc -l <log)" = 2 ] || fail "more differs than was changed"
image=data/train-000_image.nii.gz
cp -p $image image
gzip -dc image | gzip -1 >$image
run --out inputs
cp -p image $image
differ 1 first inputs "^input $image changed \(cases.item 0 file 0\)$"
differ 2 first data/none 'is no folder of a run'
differ 2 first "" 'is no folder of a run'

# A run again, from another folder.
mkdir elsewhere
(cd elsewhere && "$program" rerun ../first --out again) >log 2>&1 || fail "rerun failed"
grep -q "^bit for bit the same" log || fail "rerun does not say that it is the same"
differ 0 first elsewhere/again
gzip -dc image | gzip -1 >$image
if "$program" rerun first >log 2>&1; then
    fail "rerun takes another input"
fi
grep -q "^input $image changed" log || fail "rerun does not say what changed"
[ ! -e first-rerun ] || fail "rerun ran before it refused"
"$program" rerun first --anyway >log 2>&1 || fail "rerun --anyway failed"
