#!/bin/sh
# geometry_check.sh HEPAFLOW - a graph whose Couinaud maps come from couinaud_geometry and whose labels
# err: the map fills the liver, and masks are the same for any number of workers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" phantom "$folder/data" --cases 3 --seed 5 >/dev/null
cat >"$folder/graph.yaml" <<GRAPH
name: geometry
stages:
  cases: {use: load, dataset: $folder/data/cases.csv, split: all, require: [liver, tumor]}
  map: {use: couinaud_geometry, from: cases}
  segments: {use: couinaud_mask, from: map, labels: derived, drop: 0.2, add: 0.1, swap: 0.4}
  saved: {use: save, from: segments, fields: [couinaud, segments]}
  scores: {use: evaluate, from: segments, field: couinaud, truth: liver, surfaces: no}
GRAPH
for workers in 1 3; do
    "$1" run "$folder/graph.yaml" --out "$folder/out$workers" --workers $workers >/dev/null
    grep -q '"dice": 1,' "$folder/out$workers/scores.json" ||
        grep -q '"dice":[[:space:]]*1,' "$folder/out$workers/scores.json"
done
[ "$(ls "$folder/out1/saved" | wc -l)" = 6 ]
diff -r "$folder/out1/saved" "$folder/out3/saved"
