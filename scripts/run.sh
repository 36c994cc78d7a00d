#!/bin/sh
# Starts the embedded default with its state in $STATE, and says what to do next once it answers.
set -eu
cd "$(dirname "$0")/.."
STATE=${STATE:-$PWD/state}
umask 077
if ! { mkdir -p "$STATE" && [ -w "$STATE" ]; } 2>/dev/null; then
    user=$(id -un 2>/dev/null || id -u)
    echo "smartscale: $user may not write to $STATE" >&2
    if [ -e "$STATE" ]; then echo "  run: sudo chown -R $user $STATE" >&2; fi
    echo "  run: make run STATE=\$HOME/smartscale (keeps the state there)" >&2
    exit 1
fi
config=$STATE/config.yaml
if [ ! -e "$config" ]; then
    cat >"$config" <<YAML
# Made by 'make run'. Every key: docs/configuration.md. For other machines: see README.md
server_url: http://127.0.0.1:8080
listen_addr: 127.0.0.1:8080
metrics_listen_addr: 127.0.0.1:9090
state_dir: $STATE
unix_socket: $STATE/headscale.sock
noise:
  private_key_path: $STATE/noise_private.key
database:
  type: sqlite
  sqlite:
    path: $STATE/db.sqlite
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
    private_key_path: $STATE/derp_private.key
policy:
  mode: database
YAML
fi
hs=.venv/bin/headscale
"$hs" serve -c "$config" &
server=$!
# Ctrl-C is how it is meant to end, so that is no error.
trap 'trap "" INT TERM; kill -TERM $server 2>/dev/null; wait $server || true; exit 0' INT TERM
ready=no
for _ in $(seq 100); do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit $?; }
    if "$hs" -c "$config" health >/dev/null 2>&1; then ready=yes; break; fi
    sleep 0.2
done
[ "$ready" = yes ] || { echo "smartscale: not ready after 20 seconds, see above" >&2; kill -TERM "$server"; wait "$server"; exit 1; }
url=$(sed -n 's/^server_url: *//p' "$config" | tr -d '"'"'")
cat <<TEXT

smartscale runs on $url, state in $STATE
In another terminal, in this folder:

  $hs -c $config users create alice
  $hs -c $config preauthkeys create --user alice --reusable
  tailscale up --login-server $url --auth-key KEY

Without --auth-key the client prints a page to open. Ctrl-C stops the server.
TEXT
wait "$server"
