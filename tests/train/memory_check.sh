#!/bin/sh
# memory_check.sh PROGRAM GRAPH: what a run has in use stays within what plan tells from headers and
# from a scan, for any number of workers; the training reaches 80 % of the scan's bound.
set -eu
program=$(realpath "$1")
graph=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$program" phantom data --cases 20 --seed 5 >/dev/null
cd data
for workers in 1 3; do
    "$program" plan "$graph" --json --workers $workers >headers.json
    "$program" plan "$graph" --json --workers $workers --scan >scan.json
    "$program" run "$graph" --json --workers $workers --out out >run.json
    python3 - <<'END'
import json
def bounds(path):
    plan = json.load(open(path))
    return {j["name"]: j["memory"]["cpu"]["bytes"] for j in plan["jobs"]}, plan
headers, _ = bounds("headers.json")
scanned, plan = bounds("scan.json")
samples = {s["name"]: s.get("samples") for s in plan["stages"]}
assert samples["cases"] == samples["prepared"] == samples["varied"] == 13, samples
assert samples["test"] == samples["predicted"] == samples["result"] == 7, samples
ended = 0
for line in open("run.json"):
    event = json.loads(line)
    if event["event"] != "job_done":
        continue
    ended += 1
    name, real = event["job"], event["memory_cpu"]
    print(name, real, scanned[name], headers[name])
    assert 0 < real <= scanned[name], "more than the scan told"
    assert real <= headers[name], "more than the headers told"
    assert name != "model" or real >= 0.8 * scanned[name], "far below the scan's bound"
assert ended == 2
END
done
