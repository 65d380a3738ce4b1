#!/bin/sh
# torch_check.sh WRITER SOURCE-ROOT: checkpoints of every network in PyTorch, beside the CPU device.
# The Python is that of HEPAFLOW_PYTHON, or python3; where it has no PyTorch the test is skipped.
set -eu
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
"${HEPAFLOW_PYTHON:-python3}" -c 'import numpy, torch' 2>/dev/null || exit 77
"$1" "$where" >"$where/log" 2>&1 || { cat "$where/log"; exit 1; }
LD_LIBRARY_PATH='' "${HEPAFLOW_PYTHON:-python3}" "$2/tests/model/torch_check.py" "$where" "$2"
