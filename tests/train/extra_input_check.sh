#!/bin/sh
# extra_input_check.sh PROGRAM SOURCE-ROOT: inpainters with the Couinaud map as a third input, with
# each kind of convolution: trained two steps, and applied; with the blank that each was trained with.
set -eu
program=$1 graph=$2/tests/train/extra_input.yaml
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM

"$program" phantom "$where/data" --cases 2 --seed 5 >"$where/log" 2>&1 ||
    { cat "$where/log"; exit 1; }

# inpaint NAME OPTION...
inpaint() {
    name=$1
    shift
    "$program" run "$graph" --set "vars.data=$where/data/cases.csv" "$@" --out "$where/$name" \
        >"$where/log" 2>&1
}
for conv in gated partial plain; do
    inpaint $conv --set vars.conv=$conv || { cat "$where/log"; exit 1; }
    grep -aq '\\"input_channels\\":[ ]*3' "$where/$conv/inpainter/model.safetensors"
    [ "$(find "$where/$conv/saved" -name '*_inpainted.nii.gz' | wc -l)" -eq 2 ]
done
[ "$(grep -aoc '\\"kind\\":\\"window\\"' "$where/partial/inpainter/model.safetensors")" -gt 0 ]

# The map is an input indeed: other numbers for the segments fill otherwise.
inpaint other --set vars.map=couinaud || { cat "$where/log"; exit 1; }
for file in "$where"/partial/saved/*_inpainted.nii.gz; do
    if cmp -s "$file" "$where/other/saved/${file##*/}"; then
        echo "${file##*/}: the Couinaud map does not matter"
        exit 1
    fi
done

# What a hole holds goes with the model, also in its file: without the option it is filled as with
# the option at the same value.
blanked() {
    inpaint "$@" --set vars.conv=gated --set holes.blank=0.8 || { cat "$where/log"; exit 1; }
}
from_file() {
    "$@" --set inpainter.use=checkpoint --set inpainter.from=~ \
        --set "inpainter.file=$where/blank/inpainter/model.safetensors"
}
blanked blank
blanked same --set filled.blank=0.8
from_file blanked file
grep -aq '\\"blank\\":[ ]*0.8' "$where/blank/inpainter/model.safetensors"
for name in same file; do
    diff -r "$where/blank/saved" "$where/$name/saved"
done
if diff -r "$where/blank/saved" "$where/gated/saved" >/dev/null; then
    echo 'the blank does not matter'
    exit 1
fi

# refused TEXT OPTION...: the graph is refused before anything runs, with these words.
refused() {
    words=$1
    shift
    if inpaint refused "$@"; then
        echo "accepted: $*"
        exit 1
    fi
    grep -q "$words" "$where/log" || { cat "$where/log"; exit 1; }
    [ ! -e "$where/refused/inpainter/model.safetensors" ]
}
refused "couinaud_map" --set segments.map=none
refused "'blank' is 0.8, but the model of 'inpainter' was trained on images blanked with 0.5" \
    --set filled.blank=0.8
from_file refused \
    "'blank' is 0.5, but the model of 'inpainter' was trained on images blanked with 0.8" \
    --set filled.blank=0.5
refused "'hole_channel' is 3, of 3 input channels" --set inpainter.network.gated_unet.hole_channel=3
