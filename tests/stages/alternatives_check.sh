#!/bin/sh
# alternatives_check.sh HEPAFLOW SOURCE - what swaps for a stage of quick.yaml by one word plans there,
# and runs on phantoms, with the same results for any number of workers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# swap STAGE CLASS WITHOUT: what `plan` says that the stage goes without.
swap() {
    "$1" plan "$2/graphs/quick.yaml" --device cpu --set "$3.use=$4" >"$folder/plan" 2>&1 ||
        { cat "$folder/plan"; exit 1; }
    grep -q "^  $3  *$4 from" "$folder/plan"
    grep -q "without $5: not of $4" "$folder/plan" || { cat "$folder/plan"; exit 1; }
}
swap "$@" difference absdiff model
swap "$@" removed laplace model
swap "$@" pairs laplace model
swap "$@" removed patchmatch model
swap "$@" tumors automaton "method, contrast"
"$1" phantom "$folder/data" --cases 3 --seed 5 >/dev/null
cat >"$folder/graph.yaml" <<GRAPH
name: alternatives
seed: 3
stages:
  cases: {use: load, dataset: $folder/data/cases.csv, split: train, require: [liver, couinaud]}
  prepared: {use: prepare, from: cases, window: [-150, 150], relative_to: liver, spacing: [6, 3, 3],
             size: [80, 80], margin: 6 mm}
  segments: {use: couinaud_mask, from: prepared, labels: given}
  diseased: {use: select, from: segments, keep: annotated}
  removed: {use: laplace, from: diseased, region: segments}
  difference: {use: absdiff, from: removed, smooth: [0, 1, 1]}
  pseudo: {use: threshold, from: difference, value: 0.5, gate: [liver, segments]}
  saved: {use: save, from: pseudo, fields: [inpainted, score, pseudo]}
  clean: {use: select, from: segments, keep: clean_segments}
  tumors: {use: tumor_synthesis, from: clean, method: ellipse}
  lesions: {use: save, from: tumors, fields: [image, lesion, hole]}
GRAPH
for swap in removed.use=laplace removed.dims=3 removed.use=patchmatch tumors.use=automaton; do
    for workers in 1 3; do
        "$1" run "$folder/graph.yaml" --device cpu --out "$folder/out$workers" --set $swap \
            --workers $workers >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    done
    for stage in saved lesions; do
        [ "$(ls "$folder/out1/$stage" | wc -l)" -gt 0 ]
        diff -r "$folder/out1/$stage" "$folder/out3/$stage"
    done
    mv "$folder/out1" "$folder/$swap"
    rm -r "$folder/out3"
done
# Another stage, another result.
if diff -rq "$folder/removed.use=laplace/saved" "$folder/removed.dims=3/saved" >/dev/null ||
    diff -rq "$folder/removed.use=laplace/saved" "$folder/removed.use=patchmatch/saved" >/dev/null ||
    diff -rq "$folder/removed.dims=3/lesions" "$folder/tumors.use=automaton/lesions" >/dev/null; then
    echo "a swap made no difference"
    exit 1
fi
