# How the scripts speak: sourced by setup.sh and run.sh. `want` is the target that make was asked for.

say() { printf '%s\n' "smartscale: $*" >&2; }

# fail WHAT COMMAND: ends with the one command that helps; running make again then continues.
fail() {
    say "$1"
    printf '  run: %s\n  then: make %s again\n' "$2" "$want" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then printf '%s' "$*"; else printf 'sudo %s' "$*"; fi; }

# quoted WORD: the word as a shell reads it, in quotes only where it needs them.
quoted() {
    case "$1" in
    *[!A-Za-z0-9/._+:@%,=-]* | '') printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
    esac
}

user_name() { id -un 2>/dev/null || id -u; }

# megabytes_free FOLDER: room on its disk for this user.
megabytes_free() { df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }'; }

# no_room FOLDER NEEDED: ends because the disk of a folder is full.
no_room() {
    mount=$(df -Pk "$1" | sed -n '2s/.*[0-9]% *//p')
    fail "the disk of $1 has no room: $(megabytes_free "$1") MB are free, and $2 MB are needed" \
        "du -xhd1 $(quoted "$mount") | sort -h  # lists what takes the room, so that you can free some"
}
