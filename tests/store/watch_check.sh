#!/bin/bash
# watch_check.sh PROGRAM GRAPH MODULE: rounds of `run --watch`, after edits of a graph, of what it
# includes and names, of a module, and in the middle of a round; and that nothing else makes one.
set -eu
program=$(realpath "$1") graph=$(realpath "$2") module=$(realpath "$3")
where=$(mktemp -d)
watch=
cleanup() {
    [ -z "$watch" ] || kill -KILL "$watch" 2>/dev/null || true
    rm -rf "$where"
}
trap cleanup EXIT INT TERM
cd "$where"
export HEPAFLOW_STORE=$where/store HEPAFLOW_PLUGIN_PATH=$where/modules
fail() {
    echo "$1"
    cat log
    exit 1
}
: >log
# lines WORDS: how many lines of the log have them.
lines() { grep -cF -- "$1" log || true; }
# wait_for COUNT WORDS: until so many lines of the log have them.
wait_for() {
    local deadline=$((SECONDS + 60))
    until [ "$(lines "$2")" -ge "$1" ]; do
        kill -0 "$watch" 2>/dev/null || fail "it ended before '$2' came"
        [ $SECONDS -lt $deadline ] || fail "'$2' has not come $1 times"
        sleep 0.05
    done
}
# ends STATUS: the watch is over, with that status.
ends() {
    local status=0
    wait "$watch" || status=$?
    watch=
    [ "$status" = "$1" ] || fail "it ended with $status, not $1"
}
# edit FILE SCRIPT: as editors do, by another file in its place.
edit() {
    sed "$2" "$1" >"$1.new"
    ! cmp -s "$1" "$1.new" || fail "the edit '$2' of $1 does nothing"
    mv "$1.new" "$1"
}

"$program" phantom data --cases 4 --seed 5 >log 2>&1 || fail "no phantoms"
mkdir modules
cp "$module" modules/
cp "$graph" base.yaml
cat >top.yaml <<YAML
include: base.yaml
name: watched
vars: {data: data/cases.csv}
YAML
if "$program" run top.yaml --watch --fresh >log 2>&1; then
    fail "--fresh is taken"
fi
[ "$(lines 'one of --fresh and --watch')" = 1 ] || fail "--fresh is refused without a word"

# Job control, for a background process to get SIGINT.
set -m
"$program" run top.yaml --watch --out out --set finder.batch=1 >log 2>&1 &
watch=$!
set +m
wait_for 1 'Ctrl-C ends'
[ "$(lines ' begins')" = 3 ] || fail "the first round does not run all"

# A value of the included file: what depends on it alone.
edit base.yaml 's/value: 0.2/value: 0.3/'
wait_for 2 'Ctrl-C ends'
[ "$(lines 'since the last round: pseudo.value 0.2 -> 0.3')" = 1 ] ||
    fail "it does not say what has changed"
[ "$(lines 'filler reused')" = 1 ] || fail "more is redone than has changed"
[ "$(lines 'finder begins')" = 2 ] || fail "what has changed is not redone"

# No change: the next line that comes is that of the edit after it, which has errors.
touch base.yaml
cp base.yaml copy
mv copy base.yaml
edit base.yaml 's/value: 0.3/valu: 0.3/'
wait_for 1 "has no option 'valu'"
wait_for 3 'Ctrl-C ends'
[ "$(lines 'Ctrl-C ends')" = 3 ] || fail "a file that was only touched starts a round"
[ -e out/scores.json ] || fail "a bad graph takes the results away"
edit base.yaml 's/valu: 0.3/value: 0.3/'
wait_for 4 'Ctrl-C ends'
[ "$(lines 'finder reused')" = 1 ] || fail "a mended graph is not taken up"

# An included file that is not there yet.
edit top.yaml 's/include: base.yaml/include: [base.yaml, more.yaml]/'
wait_for 1 "cannot open the graph 'more.yaml'"
wait_for 5 'Ctrl-C ends'
echo 'stages: {pseudo: {value: 0.25}}' >more.yaml
wait_for 6 'Ctrl-C ends'
[ "$(lines 'since the last round: pseudo.value 0.3 -> 0.25')" = 1 ] ||
    fail "a file that came is not seen"
[ "$(lines 'finder begins')" = 3 ] || fail "a file that came is not taken up"

# The manifest that an option names, and a module that is rebuilt.
sed '$d' data/cases.csv >data/new
mv data/new data/cases.csv
wait_for 7 'Ctrl-C ends'
[ "$(lines 'since the last round: data/cases.csv changed')" = 1 ] ||
    fail "a changed manifest is not seen"
cp "modules/$(basename "$module")" rebuilt
printf 'x' >>rebuilt
mv rebuilt "modules/$(basename "$module")"
wait_for 8 'Ctrl-C ends'
[ "$(lines 'since the last round: plugin threshold rebuilt')" = 1 ] ||
    fail "no rebuilt module seen"
[ "$(lines 'filler reused')" -ge 3 ] || fail "a rebuilt threshold trains the filler anew"
[ "$(lines 'finder begins')" -ge 4 ] || fail "a rebuilt module is not taken up"

# A manifest that is gone for a while, and a file of a case that is written aside.
image=data/train-000_image.nii.gz
mv data/cases.csv away
edit base.yaml 's/name: small/name: small # no more/'
wait_for 1 'data/cases.csv: not there'
wait_for 9 'Ctrl-C ends'
mv away data/cases.csv
wait_for 10 'Ctrl-C ends'
[ "$(lines 'since the last round: nothing that a result depends on')" = 2 ] ||
    fail "a manifest that came back is not taken up, or has changed"
begun=$(lines 'filler begins')
mv "$image" away
gzip -cd away | gzip -1 >"$image.new"
! cmp -s away "$image.new" || fail "the image is as it was"
sleep 0.5 # that is not there changes nothing
mv "$image.new" "$image"
wait_for 11 'Ctrl-C ends'
[ "$(lines "since the last round: $image changed")" = 1 ] || fail "no changed image seen"
[ "$(lines 'filler begins')" = $((begun + 1)) ] || fail "a changed image is not taken up"
mv away "$image"
wait_for 12 'Ctrl-C ends'

# In the middle of a round, which is stopped.
begun=$(lines 'filler begins')
edit base.yaml 's/steps: 6/steps: 100000/'
wait_for $((begun + 1)) 'filler begins'
edit base.yaml 's/steps: 100000/steps: 6/'
wait_for 1 '; the run is stopped'
wait_for 13 'Ctrl-C ends'
[ "$(lines canceled)" = 1 ] || fail "the round was not stopped cleanly"

# A round that is killed, as a crash would, ends alone.
begun=$(lines 'filler begins')
edit base.yaml 's/steps: 6/steps: 100000/'
wait_for $((begun + 1)) 'filler begins'
kill -KILL "$(cat "/proc/$watch/task/$watch/children")"
wait_for 1 'the run was ended by signal 9'
wait_for 14 'Ctrl-C ends'
edit base.yaml 's/steps: 100000/steps: 6/'
wait_for 15 'Ctrl-C ends'

# A signal ends the wait with the status of the last round, and a round in its middle with 1.
kill -INT "$watch"
ends 0
[ -z "$(ls store/aside)" ] || fail "something stayed aside: $(ls store/aside)"
: >log # before the next one starts: its lines are waited for
set -m
"$program" run top.yaml --watch --out out --set filler.steps=100000 >log 2>&1 &
watch=$!
set +m
wait_for 1 'filler begins'
kill -INT "$watch"
ends 1
[ "$(lines canceled)" = 1 ] || fail "the round was not stopped cleanly at the end"
[ "$(lines 'Ctrl-C ends')" = 0 ] || fail "it goes on waiting after Ctrl-C"
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd")" != "$where" ] || [ "$(readlink "$process/exe")" != "$program" ] ||
        fail "a process is left"
done
