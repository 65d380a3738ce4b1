#!/bin/sh
# graph_check.sh PROGRAM GRAPH: the graph is right as it stands.
set -eu
"$1" plan "$2" --json | python3 -c '
import json, sys
plan = json.load(sys.stdin)
plan["jobs"][0]
blanks = {s["options"]["blank"] for s in plan["stages"] if "blank" in s["options"]}
if len(blanks) > 1:
    sys.exit("stages that blank for one inpainter use different values: %s" % sorted(blanks))'
"$1" plan "$2" --dot | grep -q '^digraph'
