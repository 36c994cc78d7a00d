"""`headscale oauth-clients`: exists to name what to use instead."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from cli.frame.errors import CommandError
from cli.frame.parser import Noun
from cli.frame.values import commas


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    aliases = ("oauth-client", "oauthclients", "oauthclient", "oauth")
    noun = Noun(nouns, "oauth-clients", "Refused: the /api/v2 of this server has no OAuth clients", aliases)
    create = noun.verb("create", _refuse, "Refused: names what to use instead", ("c", "new"))
    create.add_argument("-s", "--scope", action="append", default=[], help="not used")
    create.add_argument("-t", "--tag", type=commas, action="extend", default=[], help="not used")
    create.add_argument("-d", "--description", default="", help="not used")
    noun.verb("list", _refuse, "Refused: names what to use instead", ("ls", "show"))
    delete = noun.verb("delete", _refuse, "Refused: names what to use instead", ("remove", "del"))
    delete.add_argument("-i", "--id", default="", help="not used")


def _refuse(_arguments: argparse.Namespace) -> NoReturn:
    raise CommandError(
        "this server serves a part of /api/v2, without OAuth clients",
        "programs use an API key, made by: headscale apikeys create",
    )
