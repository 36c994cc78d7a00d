# Runs pip and explains its failures; sourced by setup.sh. What pip itself prints is in $LOG.

LOG=.venv/pip.log
UNFINISHED=.venv/.unfinished
# Megabytes of .venv, and of the packages on their way into it in the temporary folder.
ROOM=300
TEMPORARY_ROOM=100

# pip_install ARGUMENT...: the mark stays only where pip itself was ended, and may have left half a package behind.
pip_install() {
    .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null 2>&1 || make_venv
    : >"$UNFINISHED"
    status=0
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" >"$LOG" 2>&1 || status=$?
    [ "$status" -gt 128 ] || rm -f "$UNFINISHED"
    return "$status"
}

# pip_failed WHAT: ends with the reason that pip's output shows, and what helps against it.
pip_failed() {
    if [ "$(megabytes_free .)" -lt 10 ]; then
        rm -rf .venv
    fi
    enough_room 10 10
    index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null) || index=""
    index=${PIP_INDEX_URL:-${index:-https://pypi.org/simple}}
    host=$(printf '%s' "$index" | sed 's,^[a-z]*://,,; s,^[^/]*@,,; s,/.*,,')
    proxy=$(printf '%s' "${https_proxy:-${HTTPS_PROXY:-}}" | sed 's,//.*@,//,')
    through="export https_proxy=http://HOST:PORT  # if this network has a proxy; else connect it to the internet"
    certificates="export PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
    if shows 'CERTIFICATE_VERIFY_FAILED|SSLError'; then
        fail "could not install $1: the certificate of $host is not trusted, as behind a proxy that reads traffic" "$certificates"
    elif [ -n "$proxy" ] && shows 'ProxyError|Cannot connect to proxy'; then
        fail "could not install $1: the proxy $proxy of the variable https_proxy does not answer" "$through"
    elif shows 'name resolution|Name or service not known|nodename nor servname'; then
        fail "could not install $1: $host cannot be reached, its name is not resolved" "$through"
    elif shows 'timed out|Connection refused|unreachable|No route to host|ConnectionReset|Connection aborted|IncompleteRead|Connection broken|connection broken|Max retries'; then
        fail "could not install $1: the connection to $host fails" "$through"
    elif shows 'DO NOT MATCH THE HASHES'; then
        fail "could not install $1: a package from $host is not the one whose checksum is written there" \
            ".venv/bin/python -m pip cache purge"
    elif shows 'No matching distribution|Could not find a version'; then
        missing=$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' "$LOG" | tail -n 1)
        fail "could not install $1: $host has no ${missing:-package} for this Python and machine" \
            "export PIP_INDEX_URL=https://pypi.org/simple"
    elif shows 'exited-with-error|Failed building wheel|Failed to build'; then
        fail "could not install $1: a package has no build for this machine, and could not be compiled, see $LOG" \
            "$(as_root apt-get install build-essential python3-dev libffi-dev)"
    fi
    sed 's,//[^/@ ]*@,//,g' "$LOG" | tail -n 5 >&2
    fail "could not install $1, see above" "rm -rf .venv"
}

# enough_room HERE TEMPORARY: ends where fewer megabytes are free than these.
enough_room() {
    [ "$(megabytes_free .)" -ge "$1" ] || no_room "$PWD" "$ROOM"
    temporary=${TMPDIR:-/tmp}
    [ "$(megabytes_free "$temporary")" -ge "$2" ] ||
        fail "the disk of $temporary, where pip keeps downloads, has no room: $(megabytes_free "$temporary") MB are free" \
            'mkdir -p ~/tmp && export TMPDIR=~/tmp'
}

shows() { grep -qE "$1" "$LOG" 2>/dev/null; }
