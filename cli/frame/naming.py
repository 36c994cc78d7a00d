"""The options that name a user or a node, the same in every command."""

from __future__ import annotations

import argparse

NO_ROUTES = "no node advertises routes; on a router: tailscale set --advertise-routes=10.0.0.0/24"
USER = "id, name or e-mail"
NODE = "id or given name"


def add_user(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    """Add `--user`, and its name up to Headscale 0.22, `--namespace`."""
    parser.add_argument(
        "-u", "--user", "-n", "--namespace", metavar="USER", default="", required=required, help=f"{text}: {USER}"
    )


def add_node(parser: argparse.ArgumentParser, *, required: bool = True, text: str = "") -> None:
    """Add `--identifier`, also as `--id`."""
    parser.add_argument(
        "-i", "--identifier", "--id", metavar="NODE", default="", required=required, help=f"{text}{NODE}"
    )
