"""`headscale generate`: makes things that go into files."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import emit, modern
from cli.frame.parser import Noun


def declare(nouns: Any) -> None:
    """Add the noun and its verb."""
    noun = Noun(nouns, "generate", "Make things", ("gen",))
    noun.verb(
        "private-key", _private_key, "Make a private key for a key file", (),
        "headscale generate private-key > noise_private.key",
    )  # fmt: skip


def _private_key(arguments: argparse.Namespace) -> None:
    import secrets

    from services.shared.keys import PrivateKey

    text = PrivateKey.clamp(secrets.token_bytes(32)).text()
    if arguments.output:
        emit({"privateKey" if modern() else "private_key": text}, arguments.output)
    else:
        print(text)
