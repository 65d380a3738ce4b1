#!/bin/sh
# header_check.sh INCLUDE-FOLDER LANGUAGE STANDARD COMPILER...: compiles each public header alone, twice
# included, with nothing else defined. cuda.h is for C++ alone, and finds the emulation's runtime.
set -u
folder=$1 language=$2 standard=$3
shift 3
bad=0 seen=0
for path in "$folder"/hepaflow/*.h; do
    header=hepaflow/$(basename "$path")
    [ "$language/$header" = c/hepaflow/cuda.h ] && continue
    seen=$((seen + 1))
    printf '#include <%s>\n#include <%s>\nint hf_header_check;\n' "$header" "$header" |
        "$@" -x "$language" "$standard" -Wall -Wextra -pedantic -Werror -fsyntax-only \
            -I "$folder" -I "$folder/../../tests/cuda/emulation" - || { echo "$header does not compile as $standard"; bad=1; }
done
[ "$seen" -gt 0 ] || { echo "$folder/hepaflow: no header found"; exit 1; }
exit $bad
