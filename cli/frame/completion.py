"""`headscale completion`: small scripts for shells, which ask the program itself for completions.

The answer has Cobra's form, a word and its description per line and a number last, so that scripts made for it work.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from cli.frame.parser import Noun

_FILES, _NO_FILES = ":0", ":4"

_BASH = """# bash completion for headscale: put this into /etc/bash_completion.d/headscale
__headscale_complete() {
    local word="${COMP_WORDS[COMP_CWORD]}" line last
    COMPREPLY=()
    local answer
    answer="$("${COMP_WORDS[0]}" __completeNoDesc "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" || return
    last="${answer##*:}"
    while IFS= read -r line; do
        [[ $line == :* || -z $line ]] || { [[ $line == "$word"* ]] && COMPREPLY+=("$line"); }
    done <<<"$answer"
    if [[ $last == 0 && ${#COMPREPLY[@]} == 0 ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
    fi
}
complete -F __headscale_complete headscale smartscale
"""
_ZSH = """#compdef headscale smartscale
# zsh completion for headscale: put this into a folder of $fpath as _headscale
_headscale() {
    local -a found
    local line last answer
    answer="$("${words[1]}" __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)" || return
    last="${answer##*:}"
    while IFS= read -r line; do
        [[ $line == :* || -z $line ]] || found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done <<<"$answer"
    (( ${#found} )) && _describe 'headscale' found
    [[ $last == 0 ]] && _files
}
compdef _headscale headscale smartscale
"""
_FISH = """# fish completion for headscale: put this into ~/.config/fish/completions/headscale.fish
function __headscale_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] __complete $words[2..-1] 2>/dev/null)
    string match -v -r '^:' -- $answer
    if string match -q ':0' -- $answer[-1]
        __fish_complete_path (commandline -ct)
    end
end
complete -c headscale -f -a '(__headscale_complete)'
complete -c smartscale -f -a '(__headscale_complete)'
"""
_POWERSHELL = """# PowerShell completion for headscale: put this into your $PROFILE
Register-ArgumentCompleter -Native -CommandName headscale, smartscale -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if (-not $wordToComplete) { $words += '""' }
    & $commandAst.CommandElements[0].ToString() __complete @words 2>$null |
        Where-Object { $_ -and -not $_.StartsWith(':') } |
        ForEach-Object {
            $word, $text = $_ -split "`t", 2
            if (-not $text) { $text = $word }
            if ($word -like "$wordToComplete*") {
                [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $text)
            }
        }
}
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}

_PLACES = {
    "bash": "headscale completion bash > /etc/bash_completion.d/headscale",
    "zsh": 'headscale completion zsh > "${fpath[1]}/_headscale"',
    "fish": "headscale completion fish > ~/.config/fish/completions/headscale.fish",
    "powershell": "headscale completion powershell | Out-String | Invoke-Expression",
}


def declare(nouns: Any) -> None:
    """Add the noun."""
    noun = Noun(nouns, "completion", "Print a script that completes commands in a shell")
    for shell, example in _PLACES.items():
        verb = noun.verb(shell, _script, f"For {shell}", (), example)
        verb.add_argument("--no-descriptions", action="store_true", help="words alone")
        verb.set_defaults(shell=shell)


def _script(arguments: argparse.Namespace) -> None:
    text = SCRIPTS[arguments.shell]
    if arguments.no_descriptions:
        text = text.replace("__complete ", "__completeNoDesc ")
    sys.stdout.write(text)


def answer(words: Sequence[str], *, described: bool) -> None:
    """Print what may follow, for the scripts; the last of the words is unfinished."""
    found, directive = candidates(["" if word == '""' else word for word in words] or [""])
    for word, text in found:
        sys.stdout.write(f"{word}\t{text}\n" if described and text else f"{word}\n")
    sys.stdout.write(directive + "\n")


def candidates(words: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Return completions of the last word with descriptions, and Cobra's directive: files, or no files."""
    from cli.frame.tree import tree

    *before, last = words
    command, waiting, taken = tree(), None, 0
    for word in before:
        if waiting is not None:
            waiting = None
            continue
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            action = next((one for one in command.options if name in one.option_strings), None)
            waiting = action if action is not None and not value and action.nargs != 0 else None
            continue
        below = next((verb for verb in command.verbs if word in (verb.words[-1], *verb.aliases)), None)
        if below is not None:
            command, taken = below, 0
        else:
            taken += 1
    if waiting is not None:
        return _values(waiting, last)
    if last.startswith("-"):
        return _options(command, last), _NO_FILES
    verbs = [(verb.words[-1], verb.summary) for verb in command.verbs if verb.summary]
    if verbs:
        return [(word, text) for word, text in verbs if word.startswith(last)], _NO_FILES
    places = command.positionals
    if not places:
        return [], _NO_FILES
    return _values(places[min(taken, len(places) - 1)], last)


def _options(command: Any, last: str) -> list[tuple[str, str]]:
    return [
        (name, action.help or "")
        for action in command.options
        for name in action.option_strings
        if name.startswith(last) and (name.startswith("--") or last == name)
    ]


def _values(action: argparse.Action, last: str) -> tuple[list[tuple[str, str]], str]:
    choices = [choice for choice in action.choices or () if isinstance(choice, str)]
    if choices:
        return [(choice, "") for choice in choices if choice.startswith(last)], _NO_FILES
    is_file = action.metavar in ("FILE", "DIR") or action.dest in ("file", "path", "topology")
    return [], _FILES if is_file else _NO_FILES
