"""The server's own name, where the nodes' domain contains it, is served to clients: else it would vanish for them."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.map_streamer.ingest import Sources, own_names
from services.map_streamer.snapshot import DnsRecordsPut
from services.shared.config import Config, DnsConfig
from services.shared.config.model import DerpConfig, DerpServerConfig, ExtraRecord

NAME = "headscale.example.com"


class Names:
    """What the resolver of this machine says."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def __call__(self, name: str, port: object, **_: object) -> list[Any]:
        if not self.addresses:
            raise socket.gaierror("no such name")
        return [(0, 0, 0, "", (address, 0)) for address in self.addresses]


def config(**dns: Any) -> Config:
    return Config(
        server_url=f"https://{NAME}",
        dns=DnsConfig(base_domain="example.com", **dns),
        derp=DerpConfig(server=DerpServerConfig(hostname=NAME)),
    )


def sources(own: tuple[str, ...], path: Path | None = None) -> tuple[Sources, list[DnsRecordsPut]]:
    told: list[DnsRecordsPut] = []
    tailnet: Any = SimpleNamespace(
        add=lambda facts, _: told.extend(fact for fact in facts if isinstance(fact, DnsRecordsPut)),
        position=None,
        view=SimpleNamespace(snapshot=SimpleNamespace(regions=b"{}")),
    )
    return Sources(DerpConfig(), DnsConfig(extra_records_path=path), tailnet, own), told


def test_only_names_below_the_domain_of_the_nodes_are_ours_to_serve() -> None:
    assert own_names(config()) == (NAME,)
    assert own_names(config(magic_dns=False)) == ()
    assert own_names(replace(config(), dns=DnsConfig(base_domain="tailnet.internal"))) == ()
    assert own_names(replace(config(), server_url="https://notexample.com")) == (NAME,)  # the relay's name is left
    assert own_names(config(extra_records=(ExtraRecord(name=NAME, type="A", value="192.0.2.9"),))) == ()


async def test_its_addresses_become_extra_records_and_loopback_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names("192.0.2.1", "2001:db8::1", "127.0.0.1", "fe80::1%eth0")
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    source, told = sources((NAME,))
    await source.start()
    assert told[-1].records == ((NAME, "A", "192.0.2.1"), (NAME, "AAAA", "2001:db8::1"))


async def test_what_cannot_be_resolved_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in (Names(), Names("127.0.0.1")):
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
        source, told = sources((NAME,))
        await source.start()
        assert not told


async def test_the_watched_file_has_the_last_word_on_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Names("192.0.2.1"))
    path = tmp_path / "records.json"
    for name, more in ((NAME, ()), ("other.example.com", ((NAME, "A", "192.0.2.1"),))):
        path.write_text(json.dumps([{"name": name, "type": "A", "value": "192.0.2.7"}]))
        source, told = sources((NAME,), path)
        await source.start()
        assert told[-1].records == ((name, "A", "192.0.2.7"), *more)
