"""What narrows the list in an answer: pages and filters. Without them the answer is Headscale's, whole.

A page that is not the last is followed by another, whose address is in the `Link` header (RFC 8288).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from google.protobuf.message import Message

from gateway.admin.checks import check_text
from gateway.admin.refusal import invalid
from gateway.admin.rest.v1.reading import read_bool, read_number

MAX_PAGE = 1000

_Keep = Callable[[Any], bool]


def narrow(answer: Message, allowed: tuple[str, ...], query: Mapping[str, str], address: str) -> str | None:
    """Leave in the answer what the query asks for; returns the address of the next page, if there is one.

    Raises:
        Refused: a parameter makes no sense.
    """
    said = {name: query[name] for name in allowed if name in query}
    if not said:
        return None
    (field,) = answer.DESCRIPTOR.fields
    items: Any = getattr(answer, field.name)
    keep = _filters(said)
    kept = [item for item in items if all(wanted(item) for wanted in keep)]
    limit = read_number("limit", said["limit"]) if "limit" in said else len(kept)
    if "limit" in said and not 1 <= limit <= MAX_PAGE:
        raise invalid("limit", f"not from 1 to {MAX_PAGE}")
    page = kept[:limit]
    del items[:]
    items.extend(page)
    if len(page) == len(kept):
        return None
    return f"{address}?{urlencode({**query, 'after': str(page[-1].id)})}"


def _filters(said: Mapping[str, str]) -> list[_Keep]:
    keep: list[_Keep] = []
    if "after" in said:
        after = read_number("after", said["after"])
        keep.append(lambda item: item.id > after)
    if "online" in said:
        online = read_bool("online", said["online"])
        keep.append(lambda node: node.online is online)
    if "tag" in said:
        check_text("tag", said["tag"])
        keep.append(lambda node: said["tag"] in node.tags)
    if said.get("user"):
        check_text("user", said["user"])
        keep.append(lambda key: key.HasField("user") and said["user"] in (str(key.user.id), key.user.name))
    return keep
