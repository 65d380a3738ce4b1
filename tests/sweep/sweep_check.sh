#!/bin/sh
# sweep_check.sh PROGRAM GRAPH MODULES: the program's sweep. Arms that fail or crash take no other with
# them; the others score what separate runs score, to the bit, however many run at once.
set -eu
program=$(realpath "$1") graph=$(realpath "$2")
export HEPAFLOW_PLUGIN_PATH="$3"
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where"
fail() {
    echo "$1"
    cat log
    exit 1
}
"$program" phantom data --cases 4 --seed 5 >log 2>&1 || fail "no phantoms"
set -- --set "vars.data=$where/data/cases.csv"

# All plans are checked before anything runs, and what several arms have in common is said once.
status=0
"$program" sweep "$graph" "$@" --axis cut.valu=1,2 --axis end.how=pass,fial --out bad >log 2>&1 ||
    status=$?
[ $status = 2 ] || fail "a bad sweep ended with $status"
[ ! -e bad ] || fail "a bad sweep made its folder"
[ "$(grep -c "has no option 'valu'" log)" = 2 ] || fail "expected two messages about 'valu'"
[ "$(grep -c "not 'fial'" log)" = 1 ] || fail "expected one message about 'fial'"
grep -q "in the arms value=0.3,valu=1,how=fial; " log || fail "the arms are not named"

for jobs in 1 3; do
    status=0
    "$program" sweep "$graph" "$@" --seeds 2 --jobs $jobs --out at-$jobs >log 2>&1 || status=$?
    [ $status = 1 ] || fail "a sweep with arms that fail ended with $status"
    grep -q '^hepaflow: 4 of 10 runs failed' log || fail "expected four failures"
    grep -q 'failing  .*failed: end: it was told to fail\|failing .* failed: .*told to fail' log ||
        fail "why it failed is not told"
    grep -q 'crashing .* failed: it was ended by signal 9' log || fail "the crash is not told"
    grep -q '^ungated .* 8 .*\[' log || fail "no table"
done
cmp at-1/sweep.csv at-3/sweep.csv
cmp at-1/sweep.json at-3/sweep.json

# Scores that a run before has left are no scores of this sweep; other files stay.
mkdir at-3/ungated/seed-4/older at-3/failing/seed-4/older
echo '[{"case": "nobody", "dice": 1}]' | tee at-3/ungated/seed-4/older/cases.json \
    at-3/failing/seed-4/older/cases.json >at-3/ungated/seed-4/older/notes
echo '{"rated": {"stage": "older", "dice": 1}}' >at-3/failing/seed-4/scores.json
"$program" sweep "$graph" "$@" --seeds 2 --jobs 3 --out at-3 >log 2>&1 || true
cmp at-1/sweep.csv at-3/sweep.csv
[ ! -e at-3/ungated/seed-4/older/cases.json ] || fail "stale cases are left"
[ ! -e at-3/failing/seed-4/scores.json ] || fail "stale scores are left"
[ -e at-3/ungated/seed-4/older/notes ] || fail "what is no score is taken away"

"$program" run "$graph" "$@" --seed 4 --set cut.gate=liver --set cut.value=0.45 --out alone >log 2>&1
cmp alone/scores.json at-1/ungated/seed-4/scores.json
cmp alone/rated/cases.csv at-1/ungated/seed-4/rated/cases.csv

status=0
"$program" sweep "$graph" "$@" --seeds 0 --out none >log 2>&1 || status=$?
[ $status = 2 ] && [ ! -e none ] && grep -q '^hepaflow sweep: --seeds takes 1 or more$' log || fail "no seeds"

# A signal ends it in order: no arm is begun any more, and the sweep says what it has.
status=0
: >log # before the sweep starts: its lines are waited for
"$program" sweep "$graph" "$@" --seeds 200 --out stopped >log 2>&1 &
sweep=$!
for try in $(seq 600); do
    ! grep -q begins log || break
    sleep 0.1
done
kill -TERM $sweep
wait $sweep || status=$?
[ $status = 1 ] || fail "a sweep that was interrupted ended with $status"
grep -q '^canceled' log || fail "it does not say that it was canceled"
grep -q '"state":	"canceled"' stopped/sweep.json || fail "sweep.json does not say so either"
if find . -name '*.part' -o -name '*.tmp*' | grep .; then
    fail "half-written files stayed"
fi
