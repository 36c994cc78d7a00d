"""`headscale generate`: prints what belongs into files: keys and configurations."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cli.frame.output import emit, modern
from cli.frame.parser import Noun


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "generate", "Generate files and keys", ("gen",))
    noun.verb(
        "private-key", _private_key, "Generate a private key for a key file", (),
        "headscale generate private-key > noise_private.key",
    )  # fmt: skip
    config = noun.verb(
        "config", _config, "Print an example configuration with every key, explained", (),
        "headscale generate config > config.yaml\n  headscale generate config --complete",
    )  # fmt: skip
    config.add_argument("--complete", action="store_true", help="also bounds, and keys for several processes")


def _private_key(arguments: argparse.Namespace) -> None:
    import secrets

    from services.shared.keys import PrivateKey

    text = PrivateKey.clamp(secrets.token_bytes(32)).text()
    if arguments.output:
        emit({"privateKey" if modern() else "private_key": text}, arguments.output)
    else:
        print(text)


def _config(arguments: argparse.Namespace) -> None:
    from services.shared.config.example import example

    sys.stdout.write(example(complete=arguments.complete))
