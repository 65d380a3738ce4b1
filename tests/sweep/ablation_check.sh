#!/bin/sh
# ablation_check.sh PROGRAM GRAPH: all arms of an ablation can run, in full and in small.
set -eu
for base in full quick; do
    list=$("$1" sweep "$2" --set vars.base=$base --list)
    echo "$list"
    [ "$(echo "$list" | grep -c '^[^ ]')" -ge 3 ] # two arms and the seeds
    echo "$list" | grep -q '(baseline)$'
done
