#!/bin/sh
# graph_check.sh PROGRAM GRAPH: the graph is right as it stands.
set -eu
"$1" plan "$2" --json | python3 -c 'import json, sys; json.load(sys.stdin)["jobs"][0]'
"$1" plan "$2" --dot | grep -q '^digraph'
