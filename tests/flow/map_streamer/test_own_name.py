"""The guide's base_domain contains the server's own name: clients are told its address, or they would lose it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.shared.config.model import DnsConfig
from tests.fakes.tailnet import config_in, tailnet_in

NAME = "headscale.example.com"


async def test_a_client_finds_the_server_below_the_domain_of_the_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    ask = loop.getaddrinfo

    async def answer(host: Any, port: Any, **how: Any) -> Any:
        return [(0, 0, 0, "", ("192.0.2.80", 0))] if host == NAME else await ask(host, port, **how)

    monkeypatch.setattr(loop, "getaddrinfo", answer)
    config = replace(config_in(tmp_path), server_url=f"https://{NAME}", dns=DnsConfig(base_domain="example.com"))
    async with tailnet_in(tmp_path, config) as tailnet:
        device = await tailnet.device("laptop").join(await tailnet.auth_key(await tailnet.user("ann")))
        await device.until(lambda: device.netmap.dns is not None)
        assert device.netmap.dns["ExtraRecords"] == [{"Name": NAME, "Type": "A", "Value": "192.0.2.80"}]
        assert device.netmap.dns["Domains"] == ["example.com"] and device.netmap.dns["Proxied"]
