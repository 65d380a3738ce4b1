#!/bin/sh
# format_check.sh SOURCE-ROOT CLANG-FORMAT: every C file is laid out as .clang-format says.
set -u
if [ $# -ne 2 ]; then
    echo "usage: $0 SOURCE-ROOT CLANG-FORMAT" >&2
    exit 2
fi
cd "$1" || exit 1
find engine plugins stages tests tools \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.cu' \) -print0 |
    xargs -0 -r "$2" --dry-run -Werror
