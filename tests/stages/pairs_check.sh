#!/bin/sh
# pairs_check.sh HEPAFLOW - lesions in 3D, pairs with and without an inpainter and a mix of both, the
# difference as an input from training to spotting, holes filled part by part, and blind networks:
# one graph of them, whose results are the same for any number of workers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" phantom "$folder/data" --cases 3 --seed 5 >/dev/null
cat >"$folder/graph.yaml" <<GRAPH
name: pairs
seed: 3
x-learner: &learner {use: train, network: {unet: {width: 4, levels: 2}}, batch: 2, steps: 2}
stages:
  cases: {use: load, dataset: $folder/data/cases.csv, split: train, require: [liver, couinaud]}
  prepared: {use: prepare, from: cases, window: [-150, 150], relative_to: liver, spacing: [6, 4, 4],
             size: [64, 64], margin: 6 mm}
  segments: {use: couinaud_mask, from: prepared, labels: given}
  clean: {use: select, from: segments, keep: clean_segments}
  diseased: {use: select, from: segments, keep: annotated}
  holes: {use: holes, from: clean, mix: {segment: 1, liver: 1}}
  inpainter: {<<: *learner, from: holes, inputs: [masked, hole], target: image,
              weight: hole_weight, loss: l1}
  tumors: {use: tumor_synthesis, from: clean, method: ellipsoid, rim: 0.5, types: {mix: 1}}
  filled: {use: inpaint, from: tumors, model: inpainter, region: hole}
  exact: {use: pair, from: tumors}
  pairs: {use: mix, from: [filled, exact], weights: [1, 1]}
  spotter: {<<: *learner, from: pairs, inputs: [image, inpainted, difference], target: lesion,
            weight: clean, loss: bce}
  cut: {use: parts, from: diseased, size: 15 mm}
  removed: {use: inpaint, from: cut, model: inpainter, region: segments, parts: parts}
  found: {use: spot, from: removed, model: spotter}
  saved: {use: save, from: found, fields: [score, inpainted, parts]}
  blind: {<<: *learner, from: tumors, inputs: [image], target: healthy, weight: clean, loss: l1}
  blindly: {use: inpaint, from: diseased, model: blind, region: liver}
  found_blindly: {use: spot, from: blindly, model: spotter}
  saved_blind: {use: save, from: found_blindly, fields: [score, inpainted]}
  everywhere: {use: inpaint, from: diseased, model: blind, everywhere: true}
  saved_everywhere: {use: save, from: everywhere, fields: inpainted}
GRAPH
for workers in 1 3; do
    "$1" run "$folder/graph.yaml" --device cpu --out "$folder/out$workers" --workers $workers \
        >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
done
for stage in saved saved_blind saved_everywhere; do
    [ "$(ls "$folder/out1/$stage" | wc -l)" -gt 0 ]
    diff -r "$folder/out1/$stage" "$folder/out3/$stage"
done
if "$1" plan "$folder/graph.yaml" --set everywhere.model=inpainter >"$folder/log" 2>&1; then
    echo "a network that takes a hole was let fill everything"
    exit 1
fi
grep -q "takes 'masked'" "$folder/log"
