"""Given names: chooses a free DNS label for a node, and checks one that an administrator gives."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from itertools import count

from services.registry.model.errors import InvalidInputError
from services.shared.tailcfg.dnsname import MAX_NAME, fqdn, is_label, sanitize_hostname, with_suffix

FALLBACK = "node"


def base_label(hostname: str) -> str:
    """Return the label for a hostname, taken or not."""
    return sanitize_hostname(hostname) or FALLBACK


def free_label(hostname: str, is_taken: Callable[[str], bool], hints: MutableMapping[str, int] | None = None) -> str:
    """Return a free label for a hostname: its own, else with the first free number appended.

    `hints` caches for each label the number below which all are taken; its owner clears it when a name is freed.

    >>> free_label("Laptop", {"laptop", "laptop-1"}.__contains__)
    'laptop-2'
    """
    base = base_label(hostname)
    if not is_taken(base):
        return base
    hints = {} if hints is None else hints
    number = next(number for number in count(hints.get(base, 1)) if not is_taken(with_suffix(base, number)))
    hints[base] = number
    return with_suffix(base, number)


def check_label(label: str, base_domain: str) -> str:
    """Check a label given by an administrator; return it in lower case, since case does not matter.

    Raises:
        InvalidInputError: it is no DNS label, or too long together with the domain.
    """
    label = label.lower() if label.isascii() else label  # the Kelvin sign in lower case is a k
    if not is_label(label):
        raise InvalidInputError("a node name has 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends")
    if len(fqdn(label, base_domain)) > MAX_NAME:
        raise InvalidInputError(f"the node name and the domain {base_domain} together are too long")
    return label
