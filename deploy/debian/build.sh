#!/bin/sh
# Builds smartscale_VERSION_ARCH.deb into a folder. usage: deploy/debian/build.sh [FOLDER]
# Needs dpkg-deb and a Python (PYTHON=…) of the release that the package is for: it holds wheels built for that Python.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-dist}
python=${PYTHON:-python3}
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root
lib=$root/usr/lib/smartscale
mkdir -p "$out" "$lib" "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/lib/sysusers.d" \
    "$root/usr/share/doc/smartscale/examples" "$root/usr/share/man/man1" \
    "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
    "$root/usr/share/fish/vendor_completions.d"

"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --no-input --no-compile --require-hashes --only-binary :all: --target "$lib" -r requirements/runtime.txt
pip install --no-input --no-compile --no-deps --target "$work/own" .
rm -rf "$work/own/bin" "$lib/bin"
cp -r "$work/own/." "$lib/"

cat >"$root/usr/bin/headscale" <<'PROGRAM'
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/usr/lib/smartscale")
from cli.__main__ import main

main()
PROGRAM
chmod 755 "$root/usr/bin/headscale"
ln -s headscale "$root/usr/bin/smartscale"

# The same program from the staged tree makes what it documents itself by.
run() { "$work/venv/bin/python" -I -c "import sys; sys.path.insert(0, '$lib'); from cli.__main__ import main; main()" "$@"; }
run man "$root/usr/share/man/man1" >/dev/null
ln -s headscale.1 "$root/usr/share/man/man1/smartscale.1"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
mv "$root/usr/share/man/man1/smartscale.1" "$root/usr/share/man/man1/smartscale.1.gz"
ln -sf headscale.1.gz "$root/usr/share/man/man1/smartscale.1.gz"
run completion bash >"$root/usr/share/bash-completion/completions/headscale"
ln -s headscale "$root/usr/share/bash-completion/completions/smartscale"
run completion zsh >"$root/usr/share/zsh/vendor-completions/_headscale"
run completion fish >"$root/usr/share/fish/vendor_completions.d/headscale.fish"
# No file of /etc: the configuration may be Headscale's, which stays, and dpkg would ask which of two to take.
run generate config >"$root/usr/share/doc/smartscale/examples/config.yaml"

sed 's#/usr/local/bin/headscale#/usr/bin/headscale#' deploy/systemd/headscale.service >"$root/usr/lib/systemd/system/headscale.service"
cp deploy/systemd/headscale.sysusers "$root/usr/lib/sysusers.d/headscale.conf"
cp LICENSE "$root/usr/share/doc/smartscale/copyright"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/smartscale/changelog.gz"
find "$lib" -name '__pycache__' -type d -prune -exec rm -rf {} +
"$work/venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" "$lib" >/dev/null || true

version=$("$work/venv/bin/python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
minor=$("$work/venv/bin/python" -c 'import sys; print(sys.version_info.minor)')
arch=$(dpkg --print-architecture)
cat >"$root/DEBIAN/control" <<CONTROL
Package: smartscale
Version: $version
Architecture: $arch
Maintainer: smartscale <smartscale@localhost>
Section: net
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: python3 (>= 3.$minor~), python3 (<< 3.$((minor + 1))~), libstdc++6, passwd, ca-certificates
Conflicts: headscale
Replaces: headscale
Provides: headscale
Description: Tailscale control plane that you host yourself
 A drop-in for Headscale: unmodified Tailscale clients join by pre-auth key or
 by sign-in with OpenID Connect, and are administered with the headscale
 command. One process on SQLite, or replicas on PostgreSQL and Redis.
CONTROL
for script in postinst prerm postrm; do
    cp "deploy/debian/$script" "$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
done
dpkg-deb --root-owner-group -Zzstd -z6 --build "$root" "$out/smartscale_${version}_$arch.deb"
