#!/bin/sh
# One module (a shared object): the only symbol it may define for others is its descriptor.
set -u
found=$(nm -D --defined-only "$1" | awk '{print $NF}' | grep -v '^__odr_asan' | sort)
if [ "$found" != hf_plugin ]; then
    echo "$1: exports: $(echo $found)"
    echo "expected: hf_plugin alone"
    exit 1
fi
