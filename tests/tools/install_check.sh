#!/bin/sh
# install_check.sh BUILD-FOLDER SOURCE-ROOT CC CXX: what is installed works without the tree. The
# program finds its modules, a stage built with the installed headers alone joins them, and a C++
# program links the library.
set -eu
build=$1 outside=$2/tests/tools/outside cc=$3 cxx=$4
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM

meson install -C "$build" --no-rebuild --quiet --destdir "$where"
pc=$(find "$where" -name hepaflow.pc)
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$where
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
modules=$where$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=plugindir hepaflow)
program=$(find "$where" -path '*/bin/hepaflow')

mkdir "$where/mine"
$cc -std=c11 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden $(pkg-config --cflags hepaflow) \
    "$outside/scale.c" -o "$where/mine/scale.so"
HEPAFLOW_PLUGIN_PATH=$modules:$where/mine
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export HEPAFLOW_PLUGIN_PATH LD_LIBRARY_PATH

"$program" inspect scale | grep -q 'multiplied by' || {
    echo "hepaflow inspect does not know the stage from outside"
    exit 1
}
$cxx -std=c++17 -Wall -Wextra -Werror $(pkg-config --cflags hepaflow) "$outside/embed.cpp" \
    -o "$where/embed" $(pkg-config --libs hepaflow)
"$where/embed" "$outside/scale.yaml"
"$program" plan "$outside/scale.yaml"
