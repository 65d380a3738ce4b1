#!/bin/sh
# install_check.sh BUILD-FOLDER SOURCE-ROOT CC CXX NVCC: what is installed works without the tree. The
# program finds its modules, the template builds with the installed headers alone and joins them (its
# CUDA ops too, unless NVCC is ""), and a C++ program links the library.
set -eu
build=$1 outside=$2/tests/tools/outside template=$2/plugins/template cc=$3 cxx=$4 nvcc=$5
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM

meson install -C "$build" --no-rebuild --quiet --destdir "$where"
pc=$(find "$where" -name hepaflow.pc)
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$where
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
modules=$where$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=plugindir hepaflow)
program=$(find "$where" -path '*/bin/hepaflow')

CC=$cc NVCC=${nvcc:-no-nvcc} CFLAGS=-Werror NVCCFLAGS="-arch=sm_90 -Werror=all-warnings" \
    "$template/build" "$where/mine"
[ -z "$nvcc" ] || [ -f "$where/mine/noise.cuda.so" ] || {
    echo "the template did not build its CUDA ops"
    exit 1
}
# The same from a prefix with a blank in it, and to such a folder.
mkdir "$where/a blank"
ln -s "$where$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=prefix hepaflow)" "$where/a blank/to"
sed "s|^prefix=.*|prefix=$where/a\\\\ blank/to|" "$pc" >"$where/a blank/hepaflow.pc"
CC=$cc NVCC=no-nvcc PKG_CONFIG_PATH="$where/a blank" PKG_CONFIG_SYSROOT_DIR='' \
    "$template/build" "$where/a blank"
HEPAFLOW_PLUGIN_PATH=$modules:$where/mine
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export HEPAFLOW_PLUGIN_PATH LD_LIBRARY_PATH

"$program" inspect noise | grep -q 'Standard deviation' || {
    echo "hepaflow inspect does not know the stage from outside"
    exit 1
}
$cxx -std=c++17 -Wall -Wextra -Werror $(pkg-config --cflags hepaflow) "$outside/embed.cpp" \
    -o "$where/embed" $(pkg-config --libs hepaflow)
"$where/embed" "$template/noise.yaml"
"$program" plan "$template/noise.yaml"

# All graphs are installed, as they are in the tree.
lits=$(find "$where" -path '*/graphs/lits.yaml')
(cd "$2/graphs" && find . -type f ! -name meson.build | sort) >"$where/shipped"
(cd "$(dirname "$lits")" && find . -type f | sort) | cmp - "$where/shipped" || {
    echo "other graphs are installed than there are"
    exit 1
}
while read -r graph; do
    cmp "$2/graphs/$graph" "$(dirname "$lits")/$graph"
done <"$where/shipped"

# A graph finds what lies beside it, from any folder.
(cd / && "$program" plan "$lits" --resolved) | grep -o "[^ \"]*/lits-cases.csv" | sort -u >"$where/found"
[ "$(cat "$where/found")" = "$(dirname "$lits")/lits-cases.csv" ] && [ -s "$(cat "$where/found")" ] || {
    echo "lits.yaml does not find the file beside it"
    exit 1
}

# So are the manual page and what shells complete by.
for file in man/man1/hepaflow.1 bash-completion/completions/hepaflow zsh/site-functions/_hepaflow; do
    find "$where" -path "*/share/$file" | grep -q . || {
        echo "share/$file is not installed"
        exit 1
    }
done

# Editors find the schema of the shipped stages, and no others.
schema=$(find "$where" -path '*/share/hepaflow/graph.schema.json')
grep -q '"stage-tumor_synthesis"' "$schema" && ! grep -q '"stage-noise"' "$schema" &&
    "$program" schema | grep -q '"stage-noise"' || {
    echo "the schema is not installed, or not of the installed stages"
    exit 1
}

# The template's graph runs as well: what comes out is the scan with other values.
"$program" phantom "$where/data" --cases 1 --seed 3 >/dev/null
"$program" run "$template/noise.yaml" --set "cases.dataset=$where/data/cases.csv" \
    --out "$where/out" >/dev/null
image=$(find "$where/data" -name 'ct*.nii.gz' -o -name '*image*.nii.gz' | head -n 1)
noisy=$(find "$where/out/kept" -name '*_image.nii.gz')
[ -s "$image" ] && [ -s "$noisy" ] && ! cmp -s "$image" "$noisy" || {
    echo "the template's graph left no noisy image"
    exit 1
}
