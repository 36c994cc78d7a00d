"""DNS that is set over /api/v2 wins over the configuration, reaches clients at once and survives a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from headscale.v1 import apikey_pb2
from smartscale.admin.v1 import dns_pb2, dns_pb2_grpc
from smartscale.types.v1 import dns_pb2 as types

from services.shared.config.model import Config, DnsConfig
from services.shared.config.tailnet import NameserversConfig
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in
from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_v2 import refused

DNS = "/tailnet/-/dns"
CONFIGURED = DnsConfig(
    base_domain="tail.example.net",
    nameservers=NameserversConfig(global_=("9.9.9.9",), split={"old.example.com": ("10.0.0.1",)}),
    search_domains=("corp.example.com",),
    override_local_dns=True,
)


def configured(folder: Path) -> Config:
    return replace(config_in(folder, admin_calls_per_second=10_000), dns=CONFIGURED)


async def api_of(tailnet: Tailnet) -> httpx.AsyncClient:
    key = str((await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key)
    return httpx.AsyncClient(base_url=tailnet.url + "/api/v2", auth=(key, ""), timeout=20)


async def whole(api: httpx.AsyncClient) -> Any:
    return (await api.get(f"{DNS}/configuration")).json()


async def test_each_part_is_set_reaches_clients_and_the_others_stay_as_configured(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, configured(tmp_path)) as tailnet:
        laptop = tailnet.device("laptop")
        await laptop.join(await tailnet.auth_key(await tailnet.user("alice")))
        assert laptop.netmap.dns and laptop.netmap.dns["Resolvers"] == [{"Addr": "9.9.9.9"}]
        async with await api_of(tailnet) as api:
            answer = await api.post(f"{DNS}/nameservers", json={"dns": ["1.1.1.1", "1.1.1.1", "8.8.8.8"]})
            assert answer.json() == {"dns": ["1.1.1.1", "8.8.8.8"], "magicDNS": True}
            await laptop.until(
                lambda: (laptop.netmap.dns or {})["Resolvers"] == [{"Addr": "1.1.1.1"}, {"Addr": "8.8.8.8"}]
            )
            assert await whole(api) == {
                "nameservers": [{"address": "1.1.1.1"}, {"address": "8.8.8.8"}],
                "splitDNS": {"old.example.com": [{"address": "10.0.0.1"}]},
                "searchPaths": ["corp.example.com"],
                "preferences": {"overrideLocalDNS": True, "magicDNS": True},
            }
            answer = await api.patch(
                f"{DNS}/split-dns", json={"Bücher.Example.COM.": ["10.0.0.53"], "none.example": None}
            )
            split = {"old.example.com": ["10.0.0.1"], "xn--bcher-kva.example.com": ["10.0.0.53"]}
            assert answer.json() == (await api.get(f"{DNS}/split-dns")).json() == split
            await laptop.until(lambda: "xn--bcher-kva.example.com" in (laptop.netmap.dns or {})["Routes"])
            answer = await api.patch(f"{DNS}/split-dns", json={"OLD.example.com": []})
            assert answer.json() == {"xn--bcher-kva.example.com": ["10.0.0.53"]}
            assert (await api.put(f"{DNS}/split-dns", json={})).json() == {}
            answer = await api.post(f"{DNS}/searchpaths", json={"searchPaths": ["Example.org"]})
            assert answer.json() == (await api.get(f"{DNS}/searchpaths")).json() == {"searchPaths": ["example.org"]}
            assert (await api.post(f"{DNS}/preferences", json={"magicDNS": False})).json() == {"magicDNS": False}
            await laptop.until(lambda: "Proxied" not in (laptop.netmap.dns or {}))
            assert (laptop.netmap.dns or {})["Domains"] == ["tail.example.net", "example.org"]
            assert (await api.post(f"{DNS}/nameservers", json={"dns": None})).json() == {"dns": [], "magicDNS": False}
            await laptop.until(lambda: "Resolvers" not in (laptop.netmap.dns or {}))


async def test_the_whole_configuration_is_replaced_and_survives_a_restart(tmp_path: Path) -> None:
    wanted = {
        "nameservers": [{"address": "https://dns.nextdns.io/abc"}, {"address": "1.1.1.1", "useWithExitNode": True}],
        "splitDNS": {"corp.example.com": [{"address": "10.0.0.53", "useWithExitNode": True}]},
        "searchPaths": ["example.org"],
        "preferences": {"overrideLocalDNS": False, "magicDNS": True},
    }
    async with tailnet_in(tmp_path, configured(tmp_path)) as tailnet, await api_of(tailnet) as api:
        body = {**wanted, "preferences": {"magicDNS": True}}
        assert (await api.post(f"{DNS}/configuration", json=body)).json() == wanted
    async with tailnet_in(tmp_path, configured(tmp_path)) as tailnet, await api_of(tailnet) as api:
        assert await whole(api) == wanted
        laptop = tailnet.device("laptop")
        await laptop.join(await tailnet.auth_key(await tailnet.user("alice")))
        dns = laptop.netmap.dns or {}
        assert dns["FallbackResolvers"][1] == {"Addr": "1.1.1.1", "UseWithExitNode": True}
        assert dns["Routes"]["corp.example.com"] == [{"Addr": "10.0.0.53", "UseWithExitNode": True}]
        # As Terraform destroys it.
        empty = await api.post(f"{DNS}/configuration", json={"preferences": {}})
        assert empty.json() == {
            "nameservers": [], "splitDNS": {}, "searchPaths": [],
            "preferences": {"overrideLocalDNS": False, "magicDNS": False},
        }  # fmt: skip


async def test_grpc_says_where_parts_come_from_and_returns_them_to_the_configuration(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, configured(tmp_path)) as tailnet, await api_of(tailnet) as api:
        await api.post(f"{DNS}/searchpaths", json={"searchPaths": []})
        await api.post(f"{DNS}/preferences", json={"magicDNS": True})
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/admin.sock") as channel:
            stub = dns_pb2_grpc.DnsAdminServiceStub(channel)
            dns = (await stub.GetDns(dns_pb2.GetDnsRequest())).dns
            assert (list(dns.stored), list(dns.search_paths)) == (["search_paths", "magic_dns"], [])
            change = types.DnsChange(reset=["search_paths"])
            dns = (await stub.ChangeDns(dns_pb2.ChangeDnsRequest(change=change))).dns
            assert (list(dns.stored), list(dns.search_paths)) == (["magic_dns"], ["corp.example.com"])
            with pytest.raises(grpc.aio.AioRpcError, match="reset: there is no part"):
                await stub.ChangeDns(dns_pb2.ChangeDnsRequest(change=types.DnsChange(reset=["shoes"])))
        log = await api.get("/tailnet/-/logging/configuration?start=2000-01-01T00:00:00Z&end=2100-01-01T00:00:00Z")
        changes = [entry for entry in log.json()["logs"] if entry["target"].get("property") == "DNS_CONFIG"]
        before = [(entry["old"].get("searchPaths", []), "error" in entry) for entry in changes]
        assert before == [(["corp.example.com"], False), ([], False), ([], False), (["corp.example.com"], True)]


WRONG: tuple[tuple[str, str, Any, str], ...] = (
    ("POST", "nameservers", {"dns": ["dns.example.com"]}, "dns.example.com"),
    ("POST", "nameservers", {"dns": ["tls://1.1.1.1"]}, "tls://"),
    ("POST", "nameservers", {"dns": "1.1.1.1"}, "dns"),
    ("POST", "nameservers", {"dns": [f"10.0.0.{number}" for number in range(65)]}, "more than 64"),
    ("POST", "nameservers", {"dns": ["1.1.1.1\x00"]}, "control characters"),
    ("POST", "nameservers", {}, "dns: missing"),
    ("POST", "searchpaths", {}, "searchPaths: missing"),
    ("POST", "preferences", {"magicDNS": "yes"}, "magicDNS"),
    ("POST", "preferences", {}, "magicDNS"),
    ("POST", "searchpaths", {"searchPaths": ["*.example.com"]}, "wildcard"),
    ("POST", "searchpaths", {"searchPaths": ["a b"]}, "not a domain name"),
    ("PUT", "split-dns", {"*.example.com": ["1.1.1.1"]}, "wildcard"),
    ("PUT", "split-dns", {"example.com": ["x"]}, "split.example.com"),
    ("PATCH", "split-dns", {"": ["1.1.1.1"]}, "is empty"),
    ("PATCH", "split-dns", {f"d{number}.example.com": ["1.1.1.1"] for number in range(513)}, "more than 512"),
    ("PUT", "split-dns", {"example.com": 7}, "example.com"),
    ("POST", "configuration", {"nameservers": ["1.1.1.1"]}, "nameservers"),
    ("POST", "configuration", {"nameservers": [{"address": "1.1.1.1", "useWithExitNode": 1}]}, "useWithExitNode"),
    ("POST", "configuration", {"splitDNS": []}, "splitDNS"),
    ("POST", "configuration", {"preferences": {"magicDNS": 1}}, "magicDNS"),
)


async def test_what_clients_cannot_use_is_refused_and_changes_nothing(world: World) -> None:
    before = await whole(world.api)
    for verb, path, body, word in WRONG:
        refused(await world.api.request(verb, f"{DNS}/{path}", json=body), 400, word)
    assert await whole(world.api) == before
