#!/usr/bin/env bash
# commands_check.sh PROGRAM MANUAL-PAGE SOURCE-ROOT: the options that a command takes are those that its help,
# the manual page and the shells know.
set -u
program=$(realpath "$1") page=$(realpath "$2") root=$(realpath "$3")
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT INT TERM
cd "$where" || exit 1
failed=0
declare -A options # what each command takes

fail() {
    echo "$*" >&2
    failed=1
}

words() { tr -s ' \t' '\n' | grep -oE -- '^--[a-z-]+' | sort -u; }

commands=$("$program" help | sed -n 's/^  \([a-z][a-z-]*\).*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 6 ] || fail "help names too few commands: $commands"
for command in $commands; do
    # An unknown option has all that there are named.
    taken=$("$program" "$command" --no-such-option 2>&1 | sed 's/.*; there//' | words)
    told=$("$program" help "$command" | sed -n '1p;/^ *\[/p' | tr '[]' '  ' | words)
    [ "$taken" = "$told" ] || fail "help $command: says" $told "but takes" $taken
    # .Op Fl Fl out Ar DIR, from the command on to the next one
    shown=$(sed -n "/^\.Cm $command\$/,/^\.Nm\|^\.Sh\|^\.Pp/p" "$page" | grep -oE 'Fl Fl [a-z-]+' | sed 's/Fl Fl /--/' | sort -u)
    [ "$taken" = "$shown" ] || fail "the manual page: $command with" $shown "but it takes" $taken
    options[$command]=$taken
done
# What is said of options speaks of none that no command takes.
for option in $(grep -oE '\\-\\-[a-z-]+' "$page" | tr -d '\\' | sort -u); do
    [[ " ${options[*]//$'\n'/ } --help " == *" $option "* ]] || fail "the manual page tells of $option"
done

if command -v mandoc >/dev/null; then
    mandoc -Tlint "$page" || fail "mandoc has something to say of the manual page"
fi
if command -v man >/dev/null; then
    warnings=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >page.txt)
    [ -z "$warnings" ] || fail "man: $warnings"
    [ ! -s page.txt ] || grep -q 'tap GRAPH STAGE' page.txt || fail "man shows no synopsis"
fi

# ---- completion ----

cat >g.yaml <<'YAML'
stages:
  cases: {use: load, dataset: x}
  cut: {use: prepare, from: cases, smooth: 1}
  kept: {use: save, from: cut, fields: [image]}
YAML
mkdir results

# complete_in_bash WORD...: what may stand for the last word.
complete_in_bash() {
    (
        # shellcheck source=/dev/null
        . "$root/tools/completion/hepaflow.bash"
        compopt() { :; }
        complete -p hepaflow | grep -q -- '-F _hepaflow' || echo "not registered"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _hepaflow
        printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
    )
}

complete_in_zsh() {
    root=$root zsh -f -c '
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- ${(M)@:#$words[CURRENT]*} }
        _files() { print -l -- *(N) }
        words=("$@") CURRENT=$#
        . "$root/tools/completion/_hepaflow"' zsh "$@" | sort | tr '\n' ' '
}

# expect WHAT WORD...: the completion of the last word has all of WHAT; "=" in front: nothing else.
expect() {
    local what=$1 got shell word
    shift
    for shell in "${shells[@]}"; do
        got=" $("complete_in_$shell" "$@")"
        for word in ${what#=}; do
            [[ $got == *" $word "* ]] || fail "$shell: '${*:2}' gives '$got', not '$word'"
        done
        [[ $what != =* ]] || [ "$(wc -w <<<"$got")" -eq "$(wc -w <<<"${what#=}")" ] ||
            fail "$shell: '${*:2}' gives '$got', expected '${what#=}'"
    done
}

shells=(bash)
command -v zsh >/dev/null && shells+=(zsh)
expect "run plan inspect phantom tap schema version help" "$program" ""
for command in $commands; do
    expect "=${options[$command]//$'\n'/ } --help" "$program" "$command" --
done
expect "=schema" "$program" sch
expect "=plan phantom" "$program" help p
expect "g.yaml results" "$program" run ""
expect "=--set --seed" "$program" run g.yaml --se
expect "=cases cut kept" "$program" tap g.yaml ""
expect "=cut" "$program" tap --case x g.yaml cu
expect "=cases.dataset=" "$program" run g.yaml --set cases.da
expect "=cut.smooth= cut.smooth_in=" "$program" plan g.yaml --json --set cut.smo
expect "=auto" "$program" run g.yaml --device au
expect "threshold unet cpu" "$program" inspect ""
expect "results" "$program" run g.yaml --out ""
expect "=--cases" "$program" phantom results --c
[ $failed -eq 0 ] && echo "${shells[*]}: $(wc -w <<<"$commands") commands"
exit $failed
