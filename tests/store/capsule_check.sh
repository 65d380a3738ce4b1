#!/bin/bash
# capsule_check.sh PROGRAM GRAPH: every run leaves a record of what it was made of and how it went.
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
