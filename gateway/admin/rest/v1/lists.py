"""Pages and filters of lists in answers. Without them the answer is Headscale's: the whole list.

A page that is not the last is followed by another, whose address is in the `Link` header (RFC 8288).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from google.protobuf.message import Message
from headscale.v1 import node_pb2
from smartscale.admin.v1 import node_pb2 as admin_pb2

from gateway.admin.chain import Chain
from gateway.admin.checks import check_text
from gateway.admin.context import CallContext
from gateway.admin.refusal import invalid
from gateway.admin.rest.v1.reading import read_bool, read_number

MAX_PAGE = 1000

LIST_NODES = "smartscale.admin.v1.NodeAdminService.ListNodes"
"""Full name of the call that pages nodes."""

_Keep = Callable[[Any], bool]


def narrow(answer: Message, allowed: tuple[str, ...], query: Mapping[str, str], address: str) -> str | None:
    """Leave in the answer what the query asks for; returns the address of the next page, if there is one.

    Raises:
        Refused: a parameter makes no sense.
    """
    given = {name: query[name] for name in allowed if name in query}
    if not given:
        return None
    (field,) = answer.DESCRIPTOR.fields
    items: Any = getattr(answer, field.name)
    keep = _filters(given)
    kept = [item for item in items if all(wanted(item) for wanted in keep)]
    limit = read_number("limit", given["limit"]) if "limit" in given else len(kept)
    if "limit" in given and not 1 <= limit <= MAX_PAGE:
        raise invalid("limit", f"not from 1 to {MAX_PAGE}")
    page = kept[:limit]
    del items[:]
    items.extend(page)
    if len(page) == len(kept):
        return None
    return f"{address}?{urlencode({**query, 'after': str(page[-1].id)})}"


async def page_of_nodes(
    chain: Chain, call: CallContext, request: node_pb2.ListNodesRequest, query: Mapping[str, str], address: str
) -> tuple[Message, str | None]:
    """Return the nodes that the query asks for, and the address of the next page, if there is one.

    The registry filters, and only a page is read, as long as the query has a limit.

    Raises:
        Refused: a parameter makes no sense, or there is no such user.
    """
    limit = read_number("limit", query["limit"]) if "limit" in query else 0
    if "limit" in query and not 1 <= limit <= MAX_PAGE:
        raise invalid("limit", f"not from 1 to {MAX_PAGE}")
    wanted = admin_pb2.ListNodesRequest(
        user=request.user,
        after=read_number("after", query["after"]) if "after" in query else 0,
        limit=limit or MAX_PAGE,
        tag=query.get("tag", ""),
        online=read_bool("online", query["online"]) if "online" in query else None,
    )
    answer = node_pb2.ListNodesResponse()
    while True:
        page: Any = await chain.call(call, LIST_NODES, wanted)
        answer.nodes.extend(page.nodes)
        if len(page.nodes) == page.total:
            return answer, None
        wanted.after = answer.nodes[-1].id
        if limit:
            return answer, f"{address}?{urlencode({**query, 'after': str(wanted.after)})}"


def _filters(given: Mapping[str, str]) -> list[_Keep]:
    keep: list[_Keep] = []
    if "after" in given:
        after = read_number("after", given["after"])
        keep.append(lambda item: item.id > after)
    if given.get("user"):
        check_text("user", given["user"])
        keep.append(lambda key: key.HasField("user") and given["user"] in (str(key.user.id), key.user.name))
    return keep
