"""Settings of the connection to a server: reads the `cli` section, the socket and their variables, and nothing else.

Reading the whole configuration takes longer than a short command should. This module reads plain values; where there is
more to it (an error, a template, a variable that names a file) it calls the full reader, which explains errors.
"""

# pathlib takes longer to import than all this takes:
# ruff: noqa: PTH111, PTH112, PTH113, PTH118, PTH123
from __future__ import annotations

import re
from collections.abc import Mapping
from os.path import expanduser, isdir, isfile, join
from typing import Any, NamedTuple

from cli.frame.errors import CommandError

_FOLDERS = ("/etc/headscale", "~/.headscale", "")
_NAMES = ("config.yaml", "config.yml", "config.json")
_DEFAULT_STATE = "/var/lib/headscale"
_DEFAULT_SOCKET = "/var/run/headscale/headscale.sock"
_SECONDS = re.compile(r"(\d{1,6})(s|m)\Z", re.ASCII)
_KEYS = frozenset(("address", "api_key", "timeout", "insecure"))
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


class Settings(NamedTuple):
    """Where the server is, and how to talk to it; no address means the unix socket."""

    address: str
    api_key: str
    timeout: float
    insecure: bool
    unix_socket: str


class _NotPlain(Exception):  # noqa: N818  not an error: the full reader is called
    """A value that only the full reader understands."""


def read(config: str | None, env: Mapping[str, str]) -> Settings:
    """Return the settings of the named or found file, and of the variables, which take precedence.

    Raises:
        CommandError: the file cannot be read, or one of these values is wrong.
    """
    try:
        return _plainly(config, env)
    except _NotPlain:
        return carefully(config, env)


def after_refusal(config: str | None, env: Mapping[str, str]) -> str:
    """Return what to do once a refused configuration was corrected; empty if there is none to check."""
    return "headscale configtest checks it again without starting anything" if file_of(config, env) else ""


def carefully(config: str | None, env: Mapping[str, str]) -> Settings:
    """Return the same by the full reader. Raises: as `read`."""
    from pathlib import Path

    from services.shared.config import ConfigError, load_client

    try:
        found = load_client(Path(config) if config else None, env)
    except ConfigError as error:
        raise CommandError(str(error), after_refusal(config, env)) from None
    cli = found.cli
    return Settings(cli.address, cli.api_key, cli.timeout.total_seconds(), cli.insecure, str(found.unix_socket))


def _plainly(config: str | None, env: Mapping[str, str]) -> Settings:
    if env.get("HEADSCALE_CLI_API_KEY_FILE"):
        raise _NotPlain
    file = file_of(config, env)
    written = _written(file) if file else {}
    section = written.get("cli")
    if section is None:
        section = {}
    if not isinstance(section, dict) or not _KEYS.issuperset(section):
        raise _NotPlain
    given = {key: env.get(f"HEADSCALE_CLI_{key.upper()}") or section.get(key) for key in _KEYS}
    return Settings(
        address=_text(given["address"]),
        api_key=_text(given["api_key"]),
        timeout=_seconds(given["timeout"]),
        insecure=_flag(given["insecure"]),
        unix_socket=_socket(written, env),
    )


def file_of(config: str | None, env: Mapping[str, str]) -> str:
    """Return the configuration to read; empty when none is named, and none is in the usual folders."""
    named = config or env.get("HEADSCALE_CONFIG") or ""
    if named and not isdir(named):
        return named
    folders = (named,) if named else _FOLDERS
    places = [join(expanduser(folder), name) for folder in folders for name in _NAMES]
    return next((place for place in places if isfile(place)), "")


def _written(file: str) -> dict[str, Any]:
    import yaml

    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
        found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        raise _NotPlain from None
    if found is None:
        return {}
    keys = re.findall(r"(?m)^[\"']?(cli|unix_socket|state_dir)\b", text)
    if not isinstance(found, dict) or len(keys) != len(set(keys)):
        raise _NotPlain
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "$" in value or value != value.strip():
        raise _NotPlain
    return value


def _seconds(value: object) -> float:
    if value is None:
        return 5.0
    match = _SECONDS.match(value) if isinstance(value, str) else None
    if match is None:
        raise _NotPlain
    return float(match[1]) * (60 if match[2] == "m" else 1)


def _flag(value: object) -> bool:
    if isinstance(value, str):
        value = _FLAGS.get(value)
    elif value is None:
        value = False
    if not isinstance(value, bool):
        raise _NotPlain
    return value


def _socket(written: Mapping[str, Any], env: Mapping[str, str]) -> str:
    for key, tail in (("unix_socket", ""), ("state_dir", "/headscale.sock")):
        value = env.get(f"HEADSCALE_{key.upper()}") or written.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or not value.startswith("/") or {"$", "~"} & set(value) or "//" in value:
            raise _NotPlain
        if value.endswith("/"):
            raise _NotPlain
        return value + tail if value != _DEFAULT_STATE else _DEFAULT_SOCKET
    return _DEFAULT_SOCKET
