"""Compares domains of e-mail addresses as DNS does: without case, in their ASCII form."""

from __future__ import annotations


def domain_of(email: str) -> str:
    """Return the domain of an address: what follows its last @."""
    return ascii_domain(email.rpartition("@")[2])


def within(domain: str, allowed: str) -> bool:
    """Return whether a domain is the allowed one or, for `*.NAME`, below it; `*` allows every domain.

    >>> within("dev.example.com", "*.example.com"), within("example.com", "*.example.com")
    (True, False)
    """
    if allowed == "*":
        return True
    if allowed.startswith("*."):
        return domain.endswith("." + ascii_domain(allowed[2:]))
    return domain == ascii_domain(allowed)


def ascii_domain(text: str) -> str:
    """Return a domain in lower case, with A-labels, without a trailing dot or a leading @.

    >>> ascii_domain("@Bücher.example.")
    'xn--bcher-kva.example'
    """
    bare = text.strip().rstrip(".").lower().removeprefix("@")
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        return bare
