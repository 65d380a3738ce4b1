#!/bin/sh
# volume_check.sh PROGRAM SOURCE-ROOT: couinaudnet-3d.yaml, small, from phantoms to the masks of its 3D
# segmenter; the same for any number of workers; its checkpoint in segment.yaml; and its upper bound,
# which learns by the same values.
set -eu
program=$(realpath "$1") graphs=$(realpath "$2")/graphs
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"

run() { # OUT ARGUMENT...
    "$program" run "$graphs/couinaudnet-3d.yaml" --device cpu --out "$@" \
        --set vars.data=data/cases.csv --set 'prepared.spacing=[5, 4, 4]' \
        --set 'prepared.size=[64, 64]' \
        --set 'inpainter.network={unet: {width: 2, levels: 2, norm: none}}' \
        --set inpainter.steps=2 --set inpainter.batch=4 \
        --set 'spotter.network={unet: {width: 2, levels: 2}}' --set spotter.steps=2 \
        --set pseudo.value=0.1 --set segmenter.steps=3 --set 'segmenter.patch=[8, 32, 32]' \
        --set 'segmenter.network={unet: {dims: 3, width: 4, levels: 4, down: conv, flat: 1, supervise: 1}}' \
        >log 2>&1 || { cat log; exit 1; }
}

"$program" phantom data --cases 3 --seed 5 >log 2>&1 || { cat log; exit 1; }
run two --workers 2
run one --workers 1
cmp one/segmenter/model.safetensors two/segmenter/model.safetensors
tests=$(grep -c ',test,' data/cases.csv)
[ "$tests" -gt 0 ]
for out in one two; do
    [ "$(ls $out/predictions/*.nii.gz | wc -l)" -eq "$tests" ]
done
for mask in one/predictions/*.nii.gz; do
    cmp "$mask" "two/predictions/$(basename "$mask")"
done
# What nobody annotated is no background: the loss leaves it out.
tr -d '\\' <one/segmenter/model.safetensors | grep -aq '"weight":"known"'
tr -d '\\' <one/segmenter/model.safetensors | grep -aq '"dims":3,"patch":\[8,32,32\]' || {
    echo "the checkpoint does not tell its dimensions"
    exit 1
}
"$program" plan "$graphs/segment.yaml" --set vars.data=data/cases.csv \
    --set vars.model=one/segmenter/model.safetensors >log 2>&1 || { cat log; exit 1; }
grep -q "before this graph, as its stage 'segmenter'" log
# The upper bound trains as the method does, but on the truth.
values() { # GRAPH STAGE
    "$program" plan "$graphs/$1.yaml" --resolved --set vars.data=data/cases.csv |
        sed -n "/^  $2:/,/^  [a-z]/p" | sed 's/ *#.*//' | grep '^ \{4\}' |
        grep -v '^ *\(from\|target\|weight\):'
}
values couinaudnet-3d segmenter >weak
values supervised-3d segmenter >full
[ -s weak ] && cmp weak full
"$program" run "$graphs/supervised-3d.yaml" --device cpu --out full-run \
    --set vars.data=data/cases.csv --set 'prepared.spacing=[5, 4, 4]' --set 'prepared.size=[64, 64]' \
    --set segmenter.steps=2 --set 'segmenter.patch=[8, 32, 32]' \
    --set 'segmenter.network={unet: {dims: 3, width: 4, levels: 4, down: conv, flat: 1, supervise: 1}}' \
    >log 2>&1 || { cat log; exit 1; }
[ "$(ls full-run/predictions/*.nii.gz | wc -l)" -eq "$tests" ]
