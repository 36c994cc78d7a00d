#!/bin/sh
# Starts the embedded default with its state in $STATE, and says what to do next once it answers.
set -eu
cd "$(dirname "$0")/.."
want=run
. scripts/saying.sh
STATE=${STATE:-$PWD/state}
case "$STATE" in /*) ;; *) STATE=$PWD/$STATE ;; esac
umask 077
elsewhere='make run STATE=~/smartscale-state'
mkdir -p "$STATE" 2>/dev/null || true
if [ -d "$STATE" ] && ! [ -w "$STATE" ] && [ "$(id -u)" != 0 ]; then
    fail "$(user_name) may not write to $STATE" "$(as_root chown -R "$(user_name)" "$(quoted "$STATE")")"
fi
[ -d "$STATE" ] && [ -w "$STATE" ] || fail "$(user_name) may not make the folder $STATE, or write to it" "$elsewhere"
config=$STATE/config.yaml
hs=.venv/bin/headscale
command="$hs -c $(quoted "$config")"

# A server that was left behind, as by an ended terminal, still answers; a second one would only find its ports taken.
if [ -S "$STATE/headscale.sock" ] && "$hs" -c "$config" health >/dev/null 2>&1; then
    running=$(cat "$STATE/db.sqlite.lock" 2>/dev/null) || running=""
    fail "a server runs already with its state in $STATE; leave it running, or stop it" \
        "kill ${running:-PROCESS  # its number: pgrep -f 'headscale serve'}"
fi

# in_yaml TEXT: a value in quotes, as paths may have any letter.
in_yaml() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

first_config() {
    cat <<YAML
# Made by 'make run'. Every key: docs/configuration.md. For other machines: see README.md
server_url: http://127.0.0.1:8080
listen_addr: 127.0.0.1:8080
metrics_listen_addr: 127.0.0.1:9090
state_dir: $(in_yaml "$STATE")
unix_socket: $(in_yaml "$STATE/headscale.sock")
noise:
  private_key_path: $(in_yaml "$STATE/noise_private.key")
database:
  type: sqlite
  sqlite:
    path: $(in_yaml "$STATE/db.sqlite")
prefixes:
  v4: 100.64.0.0/10
  v6: fd7a:115c:a1e0::/48
dns:
  magic_dns: true
  base_domain: tailnet.internal
  override_local_dns: false
derp:
  server:
    enabled: true
    region_id: 900
    region_code: home
    region_name: Home
    listen_addr: 127.0.0.1:8443
    stun_listen_addr: 127.0.0.1:3478
    private_key_path: $(in_yaml "$STATE/derp_private.key")
policy:
  mode: database
YAML
}

if [ ! -e "$config" ]; then
    # Under its own name only when it is whole: a full disk must not leave half a configuration.
    if ! { first_config >"$config.new" && mv "$config.new" "$config"; } 2>/dev/null; then
        rm -f "$config.new"
        [ "$(megabytes_free "$STATE")" -ge 1 ] || no_room "$STATE" 10
        fail "$config cannot be written" "$elsewhere"
    fi
fi

"$hs" serve -c "$config" &
server=$!
# Ctrl-C is how it is meant to end, so that is no error. HUP, the end of the terminal, would only make the server reload.
trap 'trap "" HUP INT TERM; kill -TERM $server 2>/dev/null; wait $server || true; exit 0' HUP INT TERM
ready=no
for _ in $(seq 100); do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit $?; }
    if "$hs" -c "$config" health >/dev/null 2>&1; then ready=yes; break; fi
    sleep 0.2
done
[ "$ready" = yes ] || { say "not ready after 20 seconds, see above"; kill -TERM "$server"; wait "$server"; exit 1; }
url=$(sed -n 's/^server_url: *//p' "$config" | tr -d '"'"'")
cat <<TEXT

smartscale runs on $url, state in $STATE
In another terminal, in this folder:

  $command users create alice
  $command preauthkeys create --user alice --reusable
  tailscale up --login-server $url --auth-key KEY

Without --auth-key the client prints a page to open. Ctrl-C stops the server.
TEXT
wait "$server"
