"""Reads typed values of a described tailnet, for `topology`; refuses wrong ones with their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any

_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class TopologyError(ValueError):
    """The description of the tailnet is invalid."""


def read_scalar(value: object, where: str) -> str:
    """Return a scalar as the text that posture attributes have."""
    if isinstance(value, Mapping | list):
        raise TopologyError(f"{where}: expected text, a number, true or false")
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_flag(value: object, where: str, *, absent: bool) -> bool:
    """True or false, also as YAML words; `absent` when there is none."""
    if value is None:
        return absent
    found = value if isinstance(value, bool) else _FLAGS.get(str(value).lower())
    if found is None:
        raise TopologyError(f"{where}: expected true or false")
    return found


def read_mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return an object, its keys as text."""
    if not isinstance(value, Mapping):
        raise TopologyError(f"{where}: expected an object")
    return {str(key): item for key, item in value.items()}


def read_items(value: object, where: str) -> Sequence[object]:
    """Return a list; absent and null are empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TopologyError(f"{where}: expected a list")
    return value


def read_texts(value: object, where: str) -> list[str]:
    """Return a list of strings."""
    return [read_text(item, where) for item in read_items(value, where)]


def read_text(value: object, where: str) -> str:
    """Return a string; empty when absent."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TopologyError(f"{where}: expected a string")
    return value


def read_number(value: object, where: str) -> int:
    """Return a number from zero on, also as digits in text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise TopologyError(f"{where}: expected a number from zero on")
    return value


def read_addresses(fields: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Return the addresses of a node or service, bare; empty where there is none."""
    ipv4, ipv6 = _address(fields.get("ipv4"), f"{where}.ipv4"), _address(fields.get("ipv6"), f"{where}.ipv6")
    if ":" in ipv4 or (ipv6 and ":" not in ipv6):
        raise TopologyError(f"{where}: ipv4 and ipv6 are not each of its kind")
    return ipv4, ipv6


def _address(value: object, where: str) -> str:
    text = read_text(value, where)
    if "%" not in text:
        with suppress(ValueError):
            return str(ip_address(text.partition("/")[0])) if text else ""
    raise TopologyError(f'{where}: not an address: "{text}"')


def read_routes(value: object, where: str) -> tuple[str, ...]:
    """Prefixes, host bits masked."""
    found = []
    for text in read_texts(value, where):
        try:
            found.append(str(ip_network(text, strict=False)))
        except ValueError:
            raise TopologyError(f'{where}: not a prefix: "{text}"') from None
    return tuple(found)
