#!/bin/sh
# evaluate_check.sh HEPAFLOW SCRIPT - each number of evaluate against SciPy's, on random masks and, with
# HEPAFLOW_DATA, on real ones. Skipped where Python has no SciPy; HEPAFLOW_PYTHON names another one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${HEPAFLOW_PYTHON:-python3}" "$2" compare "$1" "$folder" ${HEPAFLOW_DATA:+"$HEPAFLOW_DATA"}
