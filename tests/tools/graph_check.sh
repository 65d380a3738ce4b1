#!/bin/sh
# graph_check.sh PROGRAM GRAPH: the graph is right as it stands, and its plan is there at once.
set -eu
best=1000000
for try in 1 2 3; do
    begin=$(date +%s%N)
    "$1" plan "$2" >/dev/null
    spent=$((($(date +%s%N) - begin) / 1000000))
    [ $spent -ge $best ] || best=$spent
done
"$1" plan "$2" --json | python3 -c '
import json, sys
plan = json.load(sys.stdin)
plan["jobs"][0]
blanks = {s["options"]["blank"] for s in plan["stages"] if "blank" in s["options"]}
if len(blanks) > 1:
    sys.exit("stages that blank for one inpainter use different values: %s" % sorted(blanks))'
"$1" plan "$2" --dot | grep -q '^digraph'
if [ $best -ge 100 ]; then
    echo "planning $2 took $best ms; expected less than 100"
    exit 1
fi
