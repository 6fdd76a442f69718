"""Scripts that complete command lines: one table of words, and a few lines a shell.

Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Table = Mapping[str, Sequence[str]]

# How bash and zsh find what may stand at a place; nothing where it is a file. What has
# been typed is looked through once, for the parts of a verb (bench latency).
_FIND = """\
_cmim_find() {
    local current=$1 before=$2 path='' given='' word found
    shift 2
    for word in "$@"; do
        case " $(_cmim_words "parts${path:+ }$path") " in
            *" $word "*) path="$path${path:+ }$word" ;;
            *) given="$given $word" ;;
        esac
    done
    found=$(_cmim_words "choices $path $before")
    if [ -n "$found" ]; then echo "$found"; return; fi
    case " $(_cmim_words "values $path") " in *" $before "*) return ;; esac
    case "$current" in -*) _cmim_words "options $path"; return ;; esac
    found=$(_cmim_words "parts${path:+ }$path")
    if [ -n "$found" ]; then echo "$found"; return; fi
    case "$given" in '' | ' -'*) _cmim_words "names $path" ;; esac
}
"""

_BASH = """\
_cmim() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local found
    found=$(_cmim_find "$current" "$before" "${COMP_WORDS[@]:1:COMP_CWORD-1}")
    COMPREPLY=($(compgen -W "$found" -- "$current"))
}
# Files where no word fits.
complete -o default -F _cmim cmim
"""

_ZSH = """\
_cmim() {
    local found
    found=$(_cmim_find "$words[CURRENT]" "$words[CURRENT-1]" \\
        "${(@)words[2,CURRENT-1]}")
    compadd -- ${=found} || _files
}
# Of $fpath it is called when it is loaded, else it says what it completes.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _cmim "$@"
else
    compdef _cmim cmim
fi
"""

_FISH = """\
function __cmim_find
    set -l current (commandline -ct)
    set -l typed (commandline -opc)
    set -l before $typed[-1]
    set -l path ''
    set -l given
    for word in $typed[2..-1]
        set -l parts (__cmim_words (string trim "parts $path"))
        if contains -- $word (string split ' ' -- $parts)
            set path (string trim "$path $word")
        else
            set -a given $word
        end
    end
    set -l found (__cmim_words "choices $path $before")
    if test -z "$found"
        if contains -- $before (string split ' ' -- (__cmim_words "values $path"))
            __fish_complete_path $current
            return
        end
        if string match -q -- '-*' $current
            set found (__cmim_words "options $path")
        else
            set found (__cmim_words (string trim "parts $path"))
            if test -z "$found"
                if test -z "$given"; or string match -q -- '-*' $given[1]
                    set found (__cmim_words "names $path")
                end
                __fish_complete_path $current
            end
        end
    end
    string split -n ' ' -- $found
end
complete -c cmim -f -a '(__cmim_find)'
"""


def bash_script(table: Table) -> str:
    """What bash (3.2 or newer) sources.

    Args:
        table: See :func:`cmim.engine.completion_table.table_of`.

    Examples:
        >>> print(bash_script({"parts": ["test", "train"]}))
        # Completes cmim in bash; made by 'cmim completion bash'.
        _cmim_words() {
            case "$1" in
                'parts') echo 'test train' ;;
            esac
        }
        ...
    """
    return f"# {_made('bash')}\n{_cases(table)}{_FIND}{_BASH}"


def zsh_script(table: Table) -> str:
    """What zsh loads as ``_cmim`` or sources, see :func:`bash_script`."""
    return f"#compdef cmim\n# {_made('zsh')}\n{_cases(table)}{_FIND}{_ZSH}"


def fish_script(table: Table) -> str:
    """What fish (3.0 or newer) reads, see :func:`bash_script`."""
    lines = "".join(
        f"        case '{place}'\n            echo '{' '.join(words)}'\n"
        for place, words in table.items()
    )
    words = f"function __cmim_words\n    switch $argv[1]\n{lines}    end\nend\n"
    return f"# {_made('fish')}\n{words}{_FISH}"


SHELLS: dict[str, Callable[[Table], str]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
}


def _made(shell: str) -> str:
    return f"Completes cmim in {shell}; made by 'cmim completion {shell}'."


def _cases(table: Table) -> str:
    lines = "".join(
        f"        '{place}') echo '{' '.join(words)}' ;;\n"
        for place, words in table.items()
    )
    return f'_cmim_words() {{\n    case "$1" in\n{lines}    esac\n}}\n'
