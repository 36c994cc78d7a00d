"""Extra DNS records: the rules that those of the configuration and those of a file both pass. Pure."""

from __future__ import annotations

import ipaddress

from services.shared.documents.bounded import DocumentError, DocumentFinding
from services.shared.documents.names import domain_name

Record = tuple[str, str, str]
"""Name, type (`A` or `AAAA`) and address."""
MAX_RECORDS = 10_000


def check_record(name: str, kind: str, value: str) -> Record:
    """Return a record as clients take it: its name in lower case and A-labels, its type that of its address.

    Raises:
        ValueError: clients cannot use it; the text is the reason.
    """
    if kind.strip().upper() not in ("", "A", "AAAA"):
        raise ValueError(f"is of type {kind.strip()[:20]}, and clients know only A and AAAA")
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        raise ValueError("has a value that is no IP address") from None
    if "%" in value:
        raise ValueError("has an address with a zone, which means nothing to other machines")
    try:
        plain = domain_name(name)
    except ValueError as error:
        raise ValueError(f"has a name that {error}") from None
    return plain, "A" if address.version == 4 else "AAAA", str(address)


def check_records(document: object) -> tuple[tuple[Record, ...], tuple[DocumentFinding, ...]]:
    """Return the usable records of a file in Headscale's form, and a finding for each other one.

    Raises:
        DocumentError: it is no list of records.
    """
    if not isinstance(document, list):
        raise DocumentError("is not a list of records")
    if len(document) > MAX_RECORDS:
        raise DocumentError(f"has more than {MAX_RECORDS} records")
    records: dict[Record, None] = {}
    findings = []
    for number, item in enumerate(document, 1):
        try:
            records[_record(item)] = None
        except ValueError as error:
            findings.append(DocumentFinding(f"record {number}{_named(item)}", str(error)))
    return tuple(records), tuple(findings)


def _record(item: object) -> Record:
    if not isinstance(item, dict):
        raise ValueError("is not an object")
    members = {str(name).lower(): value for name, value in item.items() if value is not None}
    texts = []
    for name, default in (("name", ""), ("type", "A"), ("value", "")):
        text = members.get(name, default)
        if not isinstance(text, str):
            raise ValueError(f"has a {name} that is not text")
        texts.append(text)
    return check_record(*texts)


def _named(item: object) -> str:
    members = item if isinstance(item, dict) else {}
    name = next((value for key, value in members.items() if str(key).lower() == "name"), "")
    return f' ("{name[:80]}")' if isinstance(name, str) and name.isprintable() and name else ""
