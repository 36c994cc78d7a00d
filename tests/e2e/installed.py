"""Kept installations of Headscale in a lab: our server on what is imported from one, and the clients that it had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.e2e import lab
from tests.e2e.clients import Baseshift, Caddy, Client, Mihomo
from tests.e2e.lab import PUBLIC_IP, SERVER_IP
from tests.e2e.servers import Server
from tests.flow.moving.installations import DATA, read, unpack

ALLOW_ALL = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}], "tagOwners": {"tag:server": []}}'

KEPT: tuple[tuple[type[Client], str], ...] = (
    (Caddy, "cad-alice"),
    (Caddy, "cad-oidc"),
    (Mihomo, "mih-tagged"),
    (Baseshift, "bas-bob"),
    (Caddy, "tsd-carol"),
)
"""Program and name of each client. The state of `tsd-carol` is tailscaled's, which the library in Caddy reads too."""


class Imported(Server):
    """Our server after `headscale import` from an installation of a release, with that one's own configuration."""

    def __init__(self, net: lab.Lab, release: str, name: str = "server") -> None:
        super().__init__(net, name)
        self.release = release
        self.old = unpack(
            release,
            self.folder,
            {
                "server_url": self.url,
                "listen_addr": f"{SERVER_IP}:8080",
                "metrics_listen_addr": "",
                "grpc_listen_addr": f"{SERVER_IP}:50443",
                "grpc_allow_insecure": True,
                "derp.server.enabled": True,
                "derp.server.ipv4": PUBLIC_IP,
                "derp.server.hostname": PUBLIC_IP,
                "derp.server.listen_addr": "0.0.0.0:8443",
                "derp.server.stun_listen_addr": "0.0.0.0:3478",
                "oidc": {},
            },
        ).database.sqlite.path
        """Headscale's database."""

    def import_old(self) -> dict[str, Any]:
        """Import; returns the report."""
        report: dict[str, Any] = json.loads(self.cli("import", "-o", "json"))
        assert report["nodes"]["left_out"] == 0
        return report

    def move(self) -> None:
        """Import, and start."""
        self.import_old()
        self.spawn("all")
        self.wait_healthy()

    def allow_all(self) -> None:
        """Put a policy that allows everything in force, where this release kept it."""
        if "mode: database" not in self.config.read_text():
            (self.folder / "policy.hujson").write_text(ALLOW_ALL)
            return
        path = self.folder / "allow.hujson"
        path.write_text(ALLOW_ALL)
        self.cli("policy", "set", "--force", "-f", str(path))


def kept_clients(net: lab.Lab, release: str, control: str) -> list[Client]:
    """Return the clients of an installation on copies of their states, each on a host of its own; none is started."""
    keys = {key["label"]: key["key"] for key in read(release, "expected.json")["preauthkeys"]}
    made = []
    for number, (kind, name) in enumerate(KEPT):
        net.add_host(f"old-{number}")
        # One of them must be given a key, and sends the one that it joined with at each start.
        key = keys["bob-reusable"] if kind is Baseshift else ""
        client = kind(net, f"old-{number}", name, control, key)
        shutil.copytree(DATA / release / "clients" / name, client.folder, dirs_exist_ok=True)
        _arrange(client)
        made.append(client)
    return made


def _arrange(client: Client) -> None:
    """Move a state to where its program looks for it, which depends on how it is started."""
    folder: Path = client.folder
    if isinstance(client, Mihomo):
        (folder / "state").rename(folder / "ts")
    elif isinstance(client, Baseshift):
        states = folder / ".baseshift" / "tsnet-state"
        (states / client.name).rename(states / "u1")
    elif not (folder / "state").exists():
        (folder / "state" / client.name).mkdir(parents=True)
        (folder / "tailscaled.state").rename(folder / "state" / client.name / "tailscaled.state")
