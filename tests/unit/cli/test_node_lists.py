"""The command line reads nodes page by page, shows how far it is, and still speaks to servers that know no pages."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from headscale.v1 import node_pb2 as headscale_pb
from smartscale.admin.v1 import node_pb2 as pb

from cli.frame.errors import CommandError
from cli.link import progress
from cli.link.node_lists import NodeReader
from cli.link.refusals import NoSuchThingError, UnknownCallError

NODES = [headscale_pb.Node(id=number, given_name=f"node{number}") for number in range(1, 2502)]
ROUTER = headscale_pb.Node(id=9000, given_name="router", available_routes=["10.0.0.0/8"])


class Paging:
    """A server with smartscale.admin.v1."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def call(self, name: str, request: Any) -> Any:
        if name == "GetNode":
            found = [node for node in NODES if request.node in (str(node.id), node.given_name)]
            if not found:
                raise NoSuchThingError("node not found")
            return pb.GetNodeResponse(node=found[0])
        self.asked.append((request.after, request.limit))
        left = [node for node in NODES if node.id > request.after]
        if name == "ListNodes":
            return pb.ListNodesResponse(nodes=left[: request.limit], total=len(left))
        described = [pb.NodeDescription(id=node.id) for node in left[: request.limit]]
        return pb.DescribeNodesResponse(nodes=described, total=len(left))


class WithoutPages:
    """What a server that is older, or Headscale, answers to smartscale.admin.v1."""

    def call(self, name: str, request: Any) -> Any:
        raise UnknownCallError("the server does not know this command")


class Headscale:
    """A server's headscale.v1."""

    def call(self, name: str, request: Any) -> Any:
        assert name == "ListNodes"
        return headscale_pb.ListNodesResponse(nodes=[*NODES, ROUTER])


class Terminal(io.StringIO):
    """Standard error where somebody watches."""

    def isatty(self) -> bool:
        return True


def test_every_page_is_read_once_and_in_order() -> None:
    server = Paging()
    assert NodeReader(server, Headscale()).nodes() == NODES
    assert server.asked == [(0, 1000), (1000, 1000), (2000, 1000)]
    assert list(NodeReader(server, Headscale()).descriptions()) == [node.id for node in NODES]


def test_one_node_is_asked_for_alone() -> None:
    server = Paging()
    lists = NodeReader(server, Headscale())
    assert lists.node("7") == lists.node("node7") == NODES[6]
    assert server.asked == []
    with pytest.raises(CommandError, match="node not found: 'nobody'"):
        lists.node("nobody")


def test_a_server_without_pages_is_asked_for_the_whole_list() -> None:
    lists = NodeReader(WithoutPages(), Headscale())
    assert lists.nodes() == [*NODES, ROUTER]
    assert lists.nodes(routers_only=True) == [ROUTER]
    assert (lists.node("router"), lists.node("7")) == (ROUTER, NODES[6])
    with pytest.raises(CommandError, match="node not found"):
        lists.node("nobody")
    with pytest.raises(CommandError, match="does not know this command"):
        lists.descriptions()


def test_progress_is_shown_on_a_terminal_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_QUIET", -1.0)
    NodeReader(Paging(), Headscale()).nodes()
    assert "1,000 of 2,501 nodes" in terminal.getvalue()
    assert "2,000 of 2,501 nodes" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_no_progress_is_shown_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    NodeReader(Paging(), Headscale()).nodes()
    assert pipe.getvalue() == ""
