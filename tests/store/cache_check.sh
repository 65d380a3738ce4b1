#!/bin/bash
# cache_check.sh PROGRAM [GRAPH]: samples that the store keeps of a stage (`cache: store`) are those
# that it would make again, to the bit, and are made again where they are damaged, gone or others.
# GRAPH: one with trainings, whose passes take them too.
set -eu
program=$(realpath "$1") graph=${2:+$(realpath "$2")}
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"
export HEPAFLOW_STORE=$where/store
fail() {
    echo "$1"
    cat log
    exit 1
}
run() {
    "$program" run "$@" >log 2>&1 || fail "run $* failed"
}
says() {
    grep -q "$1" log || fail "it does not say '$1'"
}

"$program" phantom data --cases 3 --seed 5 >log 2>&1 || fail "no phantoms"
cat >graph.yaml <<'YAML'
name: cached
stages:
  cases: {use: load, dataset: data/cases.csv}
  prepared: {use: prepare, from: cases, window: [-200, 250], spacing: [8, 4, 4], cache: store}
  segments: {use: couinaud_mask, from: prepared, labels: given}
  one: {use: save, from: segments, fields: [image, segments]}
  two: {use: save, from: prepared, fields: [tumor, liver]}
YAML
same() { # FOLDER: its masks are those of a run without a store
    for part in one two; do diff -r plain/$part $1/$part >>log || fail "$1/$part is another"; done
}
run graph.yaml --out plain --no-store
[ ! -e store ] || fail "--no-store made a store"

# Kept, and taken: nothing before the stage works any more.
run graph.yaml --out first
same first
says '^prepared: 0 items taken from the store, 3 more kept'
for workers in 1 3; do
    rm -rf store/results second
    run graph.yaml --out second --workers $workers --trace trace.json
    same second
    says '^prepared: 3 items taken from the store, 0 more kept'
    ! grep -q '"name":"open"' trace.json || fail "a case was opened"
done
grep -q '"name":"process"' trace.json || fail "the trace does not tell what worked"

# What comes after it may change; what comes before may not.
run graph.yaml --out after --set segments.labels=derived
says '^prepared: 3 items taken from the store, 0 more kept'
run graph.yaml --out before --set 'prepared.window=[-150, 250]'
says '^prepared: 0 items taken from the store, 3 more kept'
[ "$(ls -d store/samples/*/* | wc -l)" = 2 ] || fail "there are not samples of two keys"

# Damaged, cut, empty and missing ones are made again, and only those.
for key in store/samples/*/*; do
    printf X | dd of=$key/0 bs=1 seek=3000 conv=notrunc 2>>log
    truncate -s 5000 $key/1
done
"$program" store verify >log 2>&1 || fail "verify failed"
says '2 others lost the samples that were'
[ "$(grep -c 'dropped: .*its checksum is wrong' log)" = 4 ] || fail "not every damaged item is told"
"$program" store verify >log 2>&1 || fail "verify failed"
says '0 were damaged and are dropped$'
for key in store/samples/*/*; do [ -e $key/2 ] || fail "what was whole is dropped"; done
rm -rf store/results
run graph.yaml --out made
same made
says '^prepared: 1 items\? taken from the store, 2 more kept'
for how in 'truncate -s 0' 'truncate -s 5000' 'truncate -s +1' rm; do
    for key in store/samples/*/*; do $how $key/1; done
    rm -rf store/results
    run graph.yaml --out again
    same again
    says '^prepared: 2 items taken from the store, 1 more kept'
done

# Scores of a run before are not those of one that scores nothing.
echo '{}' >first/scores.json
run graph.yaml --out first
[ ! -e first/scores.json ] || fail "scores of another run are left"

# What looks at one case alone keeps nothing of the others.
rm -rf store
"$program" tap graph.yaml prepared --case train-000 --out tapped >log 2>&1 || fail "tap failed"
run graph.yaml --out after
same after

# A folder that cannot be made costs the samples, not the run.
rm -rf store/results
for above in store/samples/*; do rm -r $above && touch $above; done
run graph.yaml --out without
same without
says 'prepared: its samples are not kept'
rm store/samples/*

# --fresh takes nothing; prune takes them out like results.
run graph.yaml --out fresh --fresh
same fresh
! grep -q '[1-9] items taken' log || fail "--fresh took samples"
"$program" store list >log && says ' samples  prepared of cached'
"$program" store prune --size 0 >log
[ -z "$(find store/samples -type f)" ] || fail "prune left samples"

# Where it has no effect the run says so, and makes the samples itself: behind a stage that another one
# takes from as well, and behind a mix.
rm -rf store
run graph.yaml --out placed --set prepared.cache=no --set segments.cache=store
same placed
says '^warning: segments: its samples are not kept: only those of maps in a row'
cat >mixed.yaml <<'YAML'
name: mixed
stages:
  a: {use: load, dataset: data/cases.csv}
  b: {use: load, dataset: data/cases.csv}
  both: {use: mix, from: [a, b]}
  prepared: {use: prepare, from: both, window: [-200, 250], spacing: [8, 4, 4], cache: store}
  one: {use: save, from: prepared, fields: image}
YAML
run mixed.yaml --out mixed
says '^warning: prepared: its samples are not kept: only those of maps in a row'
[ -z "$(find store/samples -type f 2>>log)" ] || fail "samples are kept where it says that none are"

# A file that cannot be read costs its case, and the others are kept.
head -c 2000 data/train-000_image.nii.gz >cut && mv cut data/train-000_image.nii.gz
run graph.yaml --out lost --set cases.on_error=skip
says '^prepared: 0 items taken from the store, 2 more kept'
rm -rf store/results
run graph.yaml --out lost --set cases.on_error=skip
says 'is skipped'
says '^prepared: 2 items taken from the store, 0 more kept'

if [ "$graph" ]; then
    "$program" phantom other --cases 4 --seed 5 >log 2>&1 || fail "no phantoms"
    set -- "$graph" --set vars.data=other/cases.csv --set segments.cache=store
    run "$@" --out trained --no-store
    for hold in 0 '1 GB'; do
        rm -rf store/results
        run "$@" --out cached --set hold="$hold"
        for part in filler finder masks scores; do
            diff -r trained/$part cached/$part >>log || fail "$part is another with 'hold: $hold'"
        done
    done
    says '^segments: [1-9][0-9]* items taken from the store, 0 more kept'

    # --fresh makes the items anew, and the passes behind the first take what the run itself has made.
    run "$@" --out cached --set hold=0 --fresh
    for part in filler finder masks scores; do
        diff -r trained/$part cached/$part >>log || fail "$part is another with --fresh"
    done
    says '^segments: [1-9][0-9]* items taken from the store, [1-9][0-9]* more kept'
fi
