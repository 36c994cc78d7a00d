"""`headscale dumpConfig`: prints the configuration in force, with defaults, without secrets."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import emit
from cli.frame.parser import declare_hidden
from cli.link.remote import configuration


def declare(nouns: Any) -> None:
    """Add the command, which help does not show, as Headscale's does not."""
    declare_hidden(nouns, "dumpConfig", _dump, ("dump-config",))


def _dump(arguments: argparse.Namespace) -> None:
    from services.shared.config.showing import shown

    emit(shown(configuration(arguments)), arguments.output or "yaml")
