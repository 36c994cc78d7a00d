"""Identifiers as types of their own, so that a checker refuses to swap two of them."""

from __future__ import annotations

from typing import NewType

TailnetId = NewType("TailnetId", str)
NodeId = NewType("NodeId", int)
UserId = NewType("UserId", int)

DEFAULT_TAILNET = TailnetId("default")

TAGGED_DEVICES_USER = UserId(2147455555)
"""The synthetic owner of tagged nodes; Headscale's number, which its clients and UIs know."""
