"""Registers all debug pages of a gateway."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio

from gateway.debug import rules, streams, tailnet
from gateway.debug.asking import ServiceQueries
from gateway.debug.streams import GatewayState
from services.shared.telemetry.pages import Pages


def add_debug_pages(pages: Pages, channels: Mapping[str, grpc.aio.Channel], holding: GatewayState) -> None:
    """Register the pages of a gateway on the metrics listener of its process."""
    services = ServiceQueries(channels)
    tailnet.add_pages(pages, services, holding.overview)
    rules.add_pages(pages, services)
    streams.add_pages(pages, services, holding)
