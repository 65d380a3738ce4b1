#!/bin/bash
# on_error_check.sh PROGRAM: files that are missing, empty or cut short cost their own cases where
# `on_error` says so, whichever they are, and else the run, before anything is done.
set -eu
program=$(realpath "$1")
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"
fail() {
    echo "$1"
    cat log
    exit 1
}

"$program" phantom data --cases 1 --seed 5 >log 2>&1 || fail "no phantom"
head -c 2000 data/train-000_image.nii.gz >data/cut.nii.gz
touch data/empty.nii.gz
cat >data/bad.csv <<'CSV'
case,image,liver
cut,cut.nii.gz,train-000_liver.nii.gz
good,train-000_image.nii.gz,train-000_liver.nii.gz
gone,train-000_image.nii.gz,gone.nii.gz
empty,empty.nii.gz,train-000_liver.nii.gz
CSV
cat >graph.yaml <<'YAML'
name: on_error
stages:
  cases: {use: load, dataset: data/bad.csv, on_error: [retry(1), skip]}
  prepared: {use: prepare, from: cases, window: [-200, 250]}
  images: {use: save, from: prepared, fields: [image]}
YAML

for workers in 1 3; do
    rm -rf out
    "$program" run graph.yaml --out out --workers $workers >log 2>&1 || fail "the run failed"
    [ "$(ls out/images)" = good_image.nii.gz ] || fail "not the good case alone was saved"
    cut -d, -f2-4,7-8 out/ledger.csv >ledger
    diff - ledger <<'CSV' || fail "the ledger is another"
stage,case,sample,attempts,outcome
cases,cut,item 0,2,skipped
cases,gone,item 2,2,skipped
cases,empty,item 3,2,skipped
CSV
    grep -q "bad.csv:4:29: liver of case 'gone': data/gone.nii.gz is not there" out/ledger.csv ||
        fail "the ledger does not say where"
done

if "$program" run graph.yaml --set cases.on_error=fail --out none >log 2>&1; then
    fail "it ran"
fi
grep -q "bad.csv:4:29: liver of case 'gone'" log || fail "it does not say what is missing"
[ ! -e none/images ] || fail "something was done"
