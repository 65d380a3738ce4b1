# Completion of hepaflow in bash. Commands, options and what they take come from `hepaflow help`, stages
# and their options from the graph that is named.

# The stages of a graph, or with "options" their options as stage.option=.
_hepaflow_stages() {
    "$1" plan "$2" --resolved 2>/dev/null | awk -v all="${3:-}" '
        /^stages:/ { inside = 1; next }
        inside && /^  [^ ]/ { name = $1; sub(/:.*/, "", name); if (!all) print name }
        inside && /^    [^ ]/ && all && $1 != "use:" { key = $1; sub(/:.*/, "", key); print name "." key "=" }'
}

_hepaflow_commands() {
    "$1" help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\).*/\1/p'
}

# What to complete: a word of a synopsis, such as GRAPH, or an option.
_hepaflow_value() {
    local program=$1 what=$2 graph=$3
    case $what in
    GRAPH)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.y*ml' -- "$cur")
        ;;
    STAGE) mapfile -t COMPREPLY < <(compgen -W "$(_hepaflow_stages "$program" "$graph")" -- "$cur") ;;
    --set | --axis)
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -W "$(_hepaflow_stages "$program" "$graph" options)" -- "$cur")
        ;;
    --device)
        mapfile -t COMPREPLY < <(compgen -W "auto $("$program" inspect 2>/dev/null |
            sed -n 's/^  device \([^ :]*\).*/\1/p')" -- "$cur")
        ;;
    NAME)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" inspect 2>/dev/null |
            sed -n 's/^  \(stage\|network\|device\) \([^ :]*\).*/\2/p')" -- "$cur")
        ;;
    DIR* | --out)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    FILE* | --trace)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    esac
}

_hepaflow() {
    local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]}
    local synopsis valued word graph='' at=0 i needs=''
    local -a kinds
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$command" = help ] && [ "$COMP_CWORD" -eq 2 ]; }; then
        mapfile -t COMPREPLY < <(compgen -W "$(_hepaflow_commands "$program") help" -- "$cur")
        return
    fi
    synopsis=$("$program" help "$command" 2>/dev/null) || return
    synopsis=$(sed -n '1s/^usage: hepaflow [a-z-]*//p; /^ *\[/p' <<<"$synopsis")
    valued=" $(grep -oE -- '--[a-z-]+ [A-Za-z]' <<<"$synopsis" | sed 's/ .$//' | tr '\n' ' ')"
    # shellcheck disable=SC2086
    read -r -a kinds <<<"$(sed 's/\[--[^]]*\][. ]*//g; s/[][]//g' <<<"$synopsis" | tr '\n' ' ')"
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$needs" ]; then
            # The shell makes words of their own of `=` and what follows it.
            [ "$word" = = ] || [ "${COMP_WORDS[i + 1]-}" = = ] || needs=''
        elif [[ $word == -* ]]; then
            [[ $valued == *" $word "* ]] && needs=$word
        else
            [ "${kinds[at]-}" = GRAPH ] && graph=$word
            at=$((at + 1))
        fi
    done
    if [ -n "$needs" ]; then
        _hepaflow_value "$program" "$needs" "$graph"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '--[a-z-]+' <<<"$synopsis" | sort -u) --help" -- "$cur")
    else
        _hepaflow_value "$program" "${kinds[at]-}" "$graph"
    fi
}

complete -F _hepaflow hepaflow
