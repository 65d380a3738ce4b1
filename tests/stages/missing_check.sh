#!/bin/sh
# missing_check.sh HEPAFLOW - a field that one case lacks ends the run in one line that names stage,
# case and field, whichever stage reads it; or the case alone is left out, where
# `on_error: skip` says so.
set -eu
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$program" phantom data --cases 3 --seed 5 >/dev/null

# lacking FIELD: a manifest without the second case's file of it.
lacking() {
    awk -F, -v OFS=, -v field="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == field) at = i }
        NR == 3 { $at = "" } { print }' data/cases.csv >"data/lacking.csv"
    lost=$(awk -F, 'NR == 3 { print $1 }' data/cases.csv)
}
graph() { # LINES: stages behind `cases`
    printf 'name: missing\nstages:\n  cases: {use: load, dataset: data/lacking.csv}\n%s\n' "$1" >graph.yaml
}
# refused STAGE FIELD CLASS
refused() {
    status=0
    "$program" run graph.yaml --out out >log 2>&1 || status=$?
    if [ $status -ne 1 ] || [ "$(grep -c '^hepaflow: ' log)" -ne 1 ] ||
        ! grep -q "stage '$1', case '$lost': there is no '$2', which $3 reads" log; then
        echo "status $status of $1 ($3) without $2:"
        cat graph.yaml log
        exit 1
    fi
}
prepared='  p: {use: prepare, from: cases, spacing: [8, 4, 4]}'
written='  s: {use: save, from: g, fields: [image]}'

lacking liver
graph "  g: {use: prepare, from: cases, crop: none, spacing: [8, 4, 4], outside: keep}
$written"
refused g liver prepare
graph "  g: {use: couinaud_geometry, from: cases}
$written"
refused g liver couinaud_geometry

lacking couinaud
graph "$prepared
  g: {use: couinaud_mask, from: p, labels: given}
$written"
refused g couinaud couinaud_mask
graph "  g: {use: parts, from: cases, region: couinaud}
$written"
refused g couinaud parts

lacking tumor
graph "$prepared
  g: {use: laplace, from: p, region: tumor}
$written"
refused g tumor laplace
graph "$prepared
  f: {use: laplace, from: p, region: liver}
  g: {use: absdiff, from: f, within: tumor}
$written"
refused g tumor absdiff
for synthesis in tumor_synthesis automaton; do
    graph "$prepared
  c: {use: couinaud_mask, from: p, labels: given}
  g: {use: $synthesis, from: c, region: tumor}
$written"
    refused g tumor $synthesis
done
graph "$prepared
  g: {use: augment, from: p, within: tumor}
$written"
refused g tumor augment
graph "$prepared
  g: {use: threshold, from: p, field: image, gate: tumor}
  s: {use: save, from: g, fields: [pseudo]}"
refused g tumor threshold

sed -i 's/gate: tumor/&, on_error: skip/' graph.yaml
"$program" run graph.yaml --out out >log 2>&1 || { cat log; exit 1; }
grep -q "$lost,.*there is no 'tumor'" out/ledger.csv || { cat out/ledger.csv; exit 1; }
[ "$(ls out/s | grep -c pseudo)" -eq 2 ] || { ls out/s; exit 1; }

graph "$prepared
  g: {use: evaluate, from: p, field: liver, truth: tumor, surfaces: no}"
"$program" run graph.yaml --out scored >log 2>&1 || { cat log; exit 1; }
grep -q "case '$lost' has no tumor: it is not scored" log || { cat log; exit 1; }
