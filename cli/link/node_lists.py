"""Reads nodes from a server in pages, so that a tailnet of any size fits, with progress on a terminal.

Asks smartscale.admin.v1; a server that only has headscale.v1 (Headscale itself, or an older release) is asked for the
whole list in one message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from cli.frame.errors import CommandError
from cli.link import progress
from cli.link.refusals import NoSuchThingError, UnknownCallError

if TYPE_CHECKING:
    from headscale.v1 import node_pb2

PAGE = 1000


class Calls(Protocol):
    """The calls of one service of a server."""

    def call(self, name: str, request: Any) -> Any:
        """Make one call.

        Raises:
            CommandError: the server refused or could not be reached.
        """
        ...


class NodeReader:
    """The nodes of one server; `pages` reach its smartscale.admin.v1, `whole` its headscale.v1."""

    def __init__(self, pages: Calls, whole: Calls) -> None:
        self._pages = pages
        self._whole = whole

    def nodes(self, user: str = "", *, routers_only: bool = False) -> list[node_pb2.Node]:
        """Return the nodes of a user, or all, ordered by id.

        Raises:
            CommandError: the server refused or could not be reached.
        """
        from headscale.v1 import node_pb2 as headscale_pb
        from smartscale.admin.v1 import node_pb2 as pb

        request = pb.ListNodesRequest(user=user, routers_only=routers_only, limit=PAGE)
        try:
            return [node for page in self._all("ListNodes", request) for node in page.nodes]
        except UnknownCallError:
            whole = self._whole.call("ListNodes", headscale_pb.ListNodesRequest(user=user)).nodes
            return [node for node in whole if not routers_only or node.available_routes or node.approved_routes]

    def descriptions(self) -> dict[int, Any]:
        """Return what the clients of all nodes report, by node id.

        Raises:
            CommandError: the server refused or could not be reached.
        """
        from smartscale.admin.v1 import node_pb2 as pb

        pages = self._all("DescribeNodes", pb.DescribeNodesRequest(limit=PAGE))
        return {one.id: one for page in pages for one in page.nodes}

    def routers(self) -> dict[int, Any]:
        """Return the elections of all routers by node id; none from a server that does not record elections.

        Raises:
            CommandError: the server refused or could not be reached.
        """
        from smartscale.admin.v1 import node_pb2 as pb

        try:
            pages = self._all("ListRouters", pb.ListRoutersRequest(limit=PAGE))
            return {one.id: one for page in pages for one in page.nodes}
        except UnknownCallError:
            return {}

    def node(self, text: str) -> node_pb2.Node:
        """Return the node with an id or a given name.

        Raises:
            CommandError: there is none.
        """
        from smartscale.admin.v1 import node_pb2 as pb

        try:
            found: node_pb2.Node = self._pages.call("GetNode", pb.GetNodeRequest(node=text)).node
        except UnknownCallError:
            return self._in_list(text)
        except NoSuchThingError:
            raise _not_found(text) from None
        return found

    def _in_list(self, text: str) -> node_pb2.Node:
        nodes = self.nodes()
        found = [node for node in nodes if text == str(node.id)] or [
            node for node in nodes if text.lower() == node.given_name
        ]
        if not found:
            raise _not_found(text)
        return found[0]

    def _all(self, name: str, request: Any) -> Iterator[Any]:
        """Yield the pages of a list, up to the last."""
        count = 0
        with progress.Counter("nodes") as counter:
            while True:
                page = self._pages.call(name, request)
                yield page
                count += len(page.nodes)
                rest = page.total - len(page.nodes)
                if rest <= 0 or not page.nodes:
                    return
                counter.arrived(count, count + rest)
                request.after = page.nodes[-1].id


def _not_found(text: str) -> CommandError:
    return CommandError(f"node not found: {text!r}", "see: headscale nodes list")
