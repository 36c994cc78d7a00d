"""The debug pages: what operators see there, in both forms, and who does not get to see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest

from gateway.debug.wiring import add_debug_pages
from services.shared.config.model import Config
from services.shared.config.showing import shown
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.telemetry.pages import PageError, Pages
from tests.fakes.device import Device
from tests.fakes.metrics_page import fetch, fetch_json
from tests.fakes.ports import free_port
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

CANARY = "canary-5ecret"
PAGES = (
    "batcher",
    "config",
    "derp",
    "filter",
    "mapresponses",
    "nodestore",
    "overview",
    "ping?node=1",
    "policy",
    "policy-manager",
    "registration-cache",
    "routes",
    "runtime",
    "sessions",
    "ssh",
    "tasks",
)


def with_canaries(section: Any) -> Any:
    """A section of the configuration with every secret set."""
    values = {}
    for field in fields(section):
        value = getattr(section, field.name)
        if field.metadata.get("secret"):
            values[field.name] = CANARY
        elif is_dataclass(value):
            values[field.name] = with_canaries(value)
    return replace(section, **values)


class Watched:
    """A tailnet with a metrics listener and one connected node."""

    def __init__(self, tailnet: Tailnet, port: int, node: Device, secrets: list[str]) -> None:
        self.tailnet, self.port, self.node, self.secrets = tailnet, port, node, secrets


@asynccontextmanager
async def watched_in(folder: Path) -> AsyncIterator[Watched]:
    port = free_port()
    config = config_in(folder)
    # Only what no part uses at its start: a wrong bus or database would not let it start.
    secret = with_canaries(config)
    config = replace(
        config,
        metrics_listen_addr=f"127.0.0.1:{port}",
        cli=secret.cli,
        services=secret.services,
        database=replace(config.database, postgres=secret.database.postgres),
        oidc=replace(config.oidc, client_secret=CANARY, extra_params={"client_secret": CANARY}),
        telemetry=replace(config.telemetry, otlp_endpoint=f"http://user:{CANARY}@127.0.0.1:1/?token={CANARY}"),
    )
    async with tailnet_in(folder, config) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        node = tailnet.device("laptop")
        await node.join(key)
        waiting = tailnet.device("phone")
        await waiting.connect()
        login = str((await waiting.register())["AuthURL"]).rpartition("/")[2]
        yield Watched(tailnet, port, node, [CANARY, key.rpartition("-")[2], login])


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_in(tmp_path) as running:
        yield running


async def test_every_page_answers_as_text_and_as_json_and_none_shows_a_secret(watched: Watched) -> None:
    index = await fetch_json(watched.port, "/debug/")
    assert sorted(index) == sorted("/debug/" + page.partition("?")[0] for page in PAGES)
    for page in PAGES:
        method = "POST" if page.startswith("ping") else "GET"
        status, text = await fetch(watched.port, f"/debug/{page}", method=method)
        assert status == 200 and text.strip(), page
        document = await fetch_json(watched.port, f"/debug/{page}", method)
        assert isinstance(document, dict), page
        for secret in watched.secrets:
            assert secret not in text and secret not in str(document), page


async def test_the_pages_tell_the_truth(watched: Watched) -> None:
    port, node = watched.port, watched.node
    overview = await fetch_json(port, "/debug/overview")
    assert overview["registry"]["nodes"] == overview["map_streamer"]["sessions"] == 1
    assert overview["auth"]["pending_logins"] == overview["gateway"]["map_sessions"] == 1
    assert [one["given_name"] for one in (await fetch_json(port, "/debug/nodestore"))["nodes"]] == ["laptop"]
    filters = await fetch_json(port, "/debug/filter?node=laptop")
    assert filters["nodes"][f"{node.id} laptop"]["packet_filter"] == node.netmap.filters["base"]
    whole = (await fetch_json(port, f"/debug/mapresponses?node={node.id}"))["map_responses"]
    assert whole[f"{node.id} laptop"]["Node"]["Key"] == str(node.node_key)
    sessions = (await fetch_json(port, "/debug/sessions"))["sessions"]
    assert [(one["node"], one["state"]) for one in sessions] == [(node.id, "live")]
    assert (await fetch_json(port, "/debug/batcher"))["map_streamer"]["gateways"][0]["live"] == 1
    assert (await fetch_json(port, "/debug/ping?node=laptop", "POST"))["answered"] is True
    login = (await fetch_json(port, "/debug/registration-cache"))["pending_logins"][0]
    assert login["hostname"] == "phone" and login["auth_id"].endswith("***")
    assert (await fetch_json(port, "/debug/config"))["services"]["token"] == "***"
    assert (await fetch_json(port, "/debug/policy"))["version"] == 0


WRONG = (
    ("/debug/filter?node=99", 404, "no node has this id"),
    ("/debug/filter?node=nobody", 404, "no node has this given name"),
    ("/debug/filter?node=0", 400, "not an id"),
    ("/debug/filter?node=" + "9" * 40, 400, "not an id"),
    ("/debug/nodestore?node=99", 404, "no node has this id"),
    ("/debug/filter?node=1&node=2", 400, "more than once"),
    ("/debug/filter?" + "&".join(f"a{number}=1" for number in range(20)), 400, "more than 16"),
    ("/debug/filter?node=%00%ff", 404, "given name"),
    ("/debug/pprof/heap", 404, "/debug/runtime"),
    ("/debug/statsviz/ws", 404, "/debug/runtime"),
    ("/debug/nothing", 404, "there are: batcher, config"),
    ("/debug/../metrics", 404, "no such page"),
    ("/other", 404, "see /metrics"),
    ("/debug/ping?node=1", 405, "only POST"),
)
WRONG_PINGS = (
    ("/debug/ping", 400, "name a node"),
    ("/debug/ping?node=99", 404, "no map session"),
    ("/debug/ping?node=1&types=flood", 400, "ping types"),
    ("/debug/overview", 405, "only GET"),
    ("/metrics", 405, "only GET"),
)


async def test_a_wrong_question_is_refused_by_name(watched: Watched) -> None:
    for path, status, words in WRONG:
        said, body = await fetch(watched.port, path)
        assert (said, words in body) == (status, True), (path, body)


async def test_only_post_asks_a_client_and_only_get_reads(watched: Watched) -> None:
    for path, status, words in WRONG_PINGS:
        said, body = await fetch(watched.port, path, method="POST")
        assert (said, words in body) == (status, True), (path, body)


async def test_a_page_of_another_site_reads_nothing(watched: Watched) -> None:
    port = watched.port
    for path in ("/metrics", "/debug/", "/debug/config"):
        for host in (
            "rebound.example",
            f"rebound.example:{port}",
            "127.0.0.1.rebound.example",
            "127.0.0.1@evil.example",
        ):
            status, body = await fetch(port, path, host=host)
            assert status == 403 and "metrics_allowed_hosts" in body, (path, host)
        assert (await fetch(port, path, host=f"127.0.0.1:{port}", Origin="http://evil.example"))[0] == 403
        for host in (f"127.0.0.1:{port}", f"[::1]:{port}", "localhost", "gateway:9090", "hs.example.net", "box.lan"):
            assert (await fetch(port, path, host=host))[0] == 200, (path, host)
    assert (await fetch(port, "/health", host="rebound.example"))[0] == 200


async def test_a_refusal_is_json_for_those_who_want_json(watched: Watched) -> None:
    status, body = await fetch(watched.port, "/debug/nothing", Accept="application/json")
    assert status == 404 and body.startswith('{\n  "error": "no such page')


async def test_neither_the_tunnel_nor_the_public_listener_has_metrics_or_debug_pages(watched: Watched) -> None:
    async with httpx.AsyncClient(base_url=watched.tailnet.url) as web:
        for path in ("/metrics", "/debug", "/debug/", "/debug/config", "/debug/overview", "/debug/pprof/", "//metrics"):
            for method in ("GET", "POST"):
                status, body = await watched.node.ask(path, b"", method)
                assert (status, b"smartscale" in body) == (404, False), path
            answer = await web.get(watched.tailnet.url + path)
            assert answer.status_code == 404 and "smartscale" not in answer.text, path


async def test_what_a_proxy_forwards_for_a_stranger_is_refused_with_a_remedy(watched: Watched) -> None:
    for path in ("/metrics", "/debug/overview", "/debug/"):
        status, body = await fetch(watched.port, path, X_Forwarded_For="203.0.113.9")
        assert status == 403 and "metrics_allowed_networks" in body
    assert (await fetch(watched.port, "/health", X_Forwarded_For="203.0.113.9"))[0] == 200
    assert (await fetch(watched.port, "/debug/", X_Forwarded_For="10.1.2.3"))[0] == 200


async def test_a_service_that_does_not_answer_hides_only_its_own_part() -> None:
    nobody = LocalServer()
    channels: dict[str, grpc.aio.Channel] = dict.fromkeys(
        ("registry", "policy", "auth", "map_streamer"), LocalChannel(nobody)
    )
    pages = Pages()
    add_debug_pages(pages, channels, _Empty())
    overview = await pages.find("overview").read({})
    assert overview["gateway"] == {}
    parts: list[Any] = [overview[name] for name in ("registry", "auth", "policy", "map_streamer")]
    assert all("error" in part for part in parts)
    for name in ("nodestore", "filter", "policy", "policy-manager", "derp", "batcher", "registration-cache"):
        with pytest.raises(PageError) as refused:
            await pages.find(name).read({})
        assert refused.value.status in (502, 503)


class _Empty:
    """A gateway that holds nothing."""

    def overview(self) -> dict[str, object]:
        return {}

    def sessions(self) -> list[Any]:
        return []

    async def ping(self, node_id: int, address: str, types: str) -> bytes:
        raise LookupError("nobody")


def test_every_secret_of_the_configuration_is_masked_and_nothing_else_is_lost() -> None:
    page = shown(with_canaries(Config()))
    assert CANARY not in str(page)
    assert page["server_url"] == "" and page["unix_socket_permission"] == "0770"
    assert str(page).count("***") >= 6
    assert "***" not in str(shown(Config()))
