"""Evaluates postures over a device's attributes. A missing attribute fails every operator but `NOT SET`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import zip_longest

from services.shared.access.compiled import Assertion, Posture
from services.shared.tailcfg.hostinfo import load_hostinfo

VERSIONS = frozenset({"node:osVersion", "node:tsVersion"})
"""Attributes ordered as versions; all others are ordered as numbers."""
_FIELD = re.compile(r"\d+|\D+")


def attribute_text(value: str | int | bool) -> str:
    """Return the value of an attribute as policies compare it.

    >>> attribute_text(True), attribute_text(7)
    ('true', '7')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def meets(posture: Posture, attributes: Mapping[str, str]) -> bool:
    """Return whether all assertions of the posture are true."""
    return all(_holds(assertion, attributes) for assertion in posture.assertions)


def _holds(assertion: Assertion, attributes: Mapping[str, str]) -> bool:
    value = attributes.get(assertion.attribute)
    operator = assertion.operator
    if operator == "NOT SET":
        return value is None
    if value is None:
        return False
    if operator == "IS SET":
        return True
    if operator in ("==", "IN"):
        return value in assertion.values
    if operator in ("!=", "NOT IN"):
        return value not in assertion.values
    if not assertion.values:
        return False
    order = _compare(assertion.attribute, value, assertion.values[0])
    if order is None:
        return False
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}.get(operator, False)


def _compare(attribute: str, left: str, right: str) -> int | None:
    """Compare two values: -1, 0 or 1; None if they have no order."""
    if attribute in VERSIONS:
        return compare_versions(left, right)
    try:
        first, second = float(left), float(right)
    except ValueError:
        return None
    return (first > second) - (first < second)


def compare_versions(left: str, right: str) -> int:
    """Order two versions: alternating numeric and other fields, pair by pair; one that ends first is the smaller."""
    for one, other in zip_longest(_FIELD.findall(left), _FIELD.findall(right)):
        if one is None or other is None:
            return -1 if one is None else 1
        if one == other:
            continue
        if one.isdecimal() and other.isdecimal():
            if int(one) != int(other):
                return -1 if int(one) < int(other) else 1
            continue
        return -1 if one < other else 1
    return 0


@lru_cache(maxsize=512)
def device_attributes(
    *,
    os: str,
    os_version: str = "",
    client_version: str = "",
    auto_update: bool | None = None,
    encrypted: bool | None = None,
) -> tuple[tuple[str, str], ...]:
    """Return the posture attributes of the values in a client's Hostinfo.

    None and empty: the client did not report it, so the attribute is not set. Devices with equal values get the same
    object, since there are many devices and few kinds of them.
    """
    found: dict[str, str] = {}
    if os:
        found["node:os"] = os.lower()
    if os_version:
        found["node:osVersion"] = os_version
    version = client_version.partition("-")[0]
    if version:
        found["node:tsVersion"] = version
        minor = version.split(".")[1] if version.count(".") else ""
        if minor.isdecimal():
            found["node:tsReleaseTrack"] = "unstable" if int(minor) % 2 else "stable"
    for name, flag in (("node:tsAutoUpdate", auto_update), ("node:tsStateEncrypted", encrypted)):
        if flag is not None:
            found[name] = "true" if flag else "false"
    return tuple(sorted(found.items()))


def hostinfo_attributes(hostinfo: bytes) -> tuple[tuple[str, str], ...]:
    """Return the posture attributes of a stored Hostinfo; none if it is empty.

    Raises:
        ValueError: it cannot be read.
    """
    if not hostinfo:
        return ()
    info = load_hostinfo(hostinfo)
    return device_attributes(
        os=info.os,
        os_version=info.os_version,
        client_version=info.ipn_version,
        auto_update=info.allows_update if info.ipn_version else None,
        encrypted=info.state_encrypted,
    )
