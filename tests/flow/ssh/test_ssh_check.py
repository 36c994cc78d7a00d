"""Checked SSH sessions from the destination's question to the person's word, with real services and real tunnels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
import httpx
import orjson
import pytest
from headscale.v1 import apikey_pb2, auth_pb2, node_pb2, policy_pb2
from smartscale.admin.v1 import pending_login_pb2, pending_login_pb2_grpc

import gateway.wiring
import services.auth.wiring
from gateway.machine.ssh import NO_SESSION
from services.shared.bus import MemoryBus
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.rpc.client import OutgoingChannel
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from services.shared.telemetry import Telemetry
from tests.fakes.device import Device
from tests.fakes.ssh import Incoming
from tests.fakes.tailnet import BUILDS, Tailnet, config_in, tailnet_in

RULE = (
    '{"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"], '
    '"checkPeriod": "%s"}'
)
ACLS = '"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]'
PERMITS = {
    "accept": True, "allowAgentForwarding": True, "allowLocalPortForwarding": True, "allowRemotePortForwarding": True,
}  # fmt: skip
REJECTED = {"reject": True, "message": f"# {NO_SESSION}\n"}
ABSENT = "hskey-authreq-" + "f" * 24


async def set_policy(tailnet: Tailnet, period: str) -> None:
    text = "{" + ACLS + (', "ssh": [' + RULE.replace("%s", period) + "]" if period else "") + "}"
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=text))


@dataclass
class Pair:
    """Two devices of alice, one of which opens SSH sessions to the other."""

    tailnet: Tailnet
    laptop: Device
    server: Device

    def open(self, user: str = "root") -> tuple[Incoming, asyncio.Task[dict[str, Any]]]:
        """One more session."""
        incoming = Incoming(self.server, self.laptop, user)
        return incoming, asyncio.create_task(incoming.decide())

    async def approve(self, auth_id: str) -> None:
        """What `headscale auth approve` does."""
        await self.tailnet.admin.AuthApprove(auth_pb2.AuthApproveRequest(auth_id=auth_id))

    async def reject(self, auth_id: str) -> None:
        """What `headscale auth reject` does."""
        await self.tailnet.admin.AuthReject(auth_pb2.AuthRejectRequest(auth_id=auth_id))


async def pair_in(tailnet: Tailnet, laptop: Device, server: Device, period: str = "1h") -> Pair:
    key = await tailnet.auth_key(await tailnet.user("alice"))
    await set_policy(tailnet, period)
    await laptop.join(key)
    await server.join(key)
    made = Pair(tailnet, laptop, server)
    await server.until(lambda: Incoming(server, laptop).rule() is not None)
    return made


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with tailnet_in(tmp_path) as tailnet:
        yield await pair_in(tailnet, tailnet.device("laptop"), tailnet.device("server"))


@pytest.mark.statement(113, 115)
async def test_a_checked_session_waits_for_a_yes_and_the_next_one_begins_at_once(pair: Pair) -> None:
    incoming, verdict = pair.open()
    url = await incoming.auth_url()
    assert url.startswith("http://hs.example.net/auth/hskey-authreq-")
    await pair.server.client.ping() if pair.server.client else None
    assert not verdict.done()
    await pair.approve(await incoming.auth_id())
    assert await asyncio.wait_for(verdict, 5) == PERMITS
    assert len(incoming.banners) == 1 and incoming.statuses == [200, 200]
    after, verdict = pair.open()
    assert await verdict == PERMITS and after.banners == []


async def test_a_refused_session_is_told_so_in_words_that_clients_show(pair: Pair) -> None:
    incoming, verdict = pair.open()
    await pair.reject(await incoming.auth_id())
    answer = await asyncio.wait_for(verdict, 5)
    assert answer == {"reject": True, "message": "# this SSH session was refused\n"}


async def test_without_a_provider_the_page_tells_the_command_and_changes_nothing(pair: Pair) -> None:
    incoming, verdict = pair.open()
    auth_id = await incoming.auth_id()
    async with httpx.AsyncClient(base_url=pair.tailnet.url) as browser:
        for path in ("auth", "register"):
            page = await browser.get(f"/{path}/{auth_id}")
            assert page.status_code == 200 and f" auth approve --auth-id {auth_id}" in page.text
            assert all(word in page.text for word in ("laptop", "server", "alice", "root"))
            assert "<form" not in page.text and "form-action 'none'" in page.headers["content-security-policy"]
        for odd in (ABSENT, "hskey-authreq-x", "%00", "a" * 3000):
            unknown = await browser.get(f"/auth/{odd}")
            assert unknown.status_code == 404
        assert "no longer valid" in (await browser.get(f"/auth/{ABSENT}")).text
        assert not verdict.done()
        await pair.approve(auth_id)
        assert "already approved or refused" in (await browser.get(f"/auth/{auth_id}")).text
    assert await verdict == PERMITS


async def test_rest_decides_too_and_the_list_shows_who_waits(pair: Pair, tmp_path: Path) -> None:
    key = (await pair.tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
    (first, one), (second, other) = pair.open(), pair.open()
    auth_id = await first.auth_id()
    assert await second.auth_id() == auth_id
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/admin.sock") as channel:
        stub: Any = pending_login_pb2_grpc.PendingLoginAdminServiceStub(channel)  # type: ignore[no-untyped-call]
        (listed,) = (await stub.ListPendingLogins(pending_login_pb2.ListPendingLoginsRequest())).ssh_sessions
    assert (listed.auth_id, listed.source, listed.user) == (auth_id, "laptop", "alice")
    assert (listed.destination, listed.local_user) == ("server", "root")
    shown = await pair.tailnet.telemetry.pages.find("registration-cache").read({})
    assert shown["ssh_sessions"][0]["source"] == "laptop"
    assert auth_id not in orjson.dumps(shown).decode() and auth_id[:18] in shown["ssh_sessions"][0]["auth_id"]
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=pair.tailnet.url, headers=headers) as web:
        assert (await web.post("/api/v1/auth/approve", json={"authId": auth_id})).status_code == 200
        assert (await web.post("/api/v1/auth/reject", json={"authId": auth_id})).status_code == 400
    assert await one == PERMITS and await other == PERMITS


async def test_a_rule_that_asks_always_asks_for_each_session(pair: Pair) -> None:
    await set_policy(pair.tailnet, "always")
    (first, one), (second, other) = pair.open(), pair.open()
    assert await first.auth_id() != await second.auth_id()
    await pair.approve(await first.auth_id())
    assert await asyncio.wait_for(one, 5) == PERMITS and not other.done()
    third, verdict = pair.open()
    await pair.reject(await second.auth_id())
    await pair.reject(await third.auth_id())
    assert (await other)["reject"] and (await verdict)["reject"]


async def test_the_period_is_that_of_the_policy_whatever_the_address_says(pair: Pair) -> None:
    incoming, verdict = pair.open()
    await pair.approve(await incoming.auth_id())
    assert await verdict == PERMITS
    path = urlsplit(incoming.url()).path
    await set_policy(pair.tailnet, "always")
    for query in ("local_user=root&period=168h", "local_user=root&checkPeriod=168h", "local_user=ubuntu", ""):
        _, body = await pair.server.ask(f"{path}?{query}", b"", "GET")
        assert "holdAndDelegate" in orjson.loads(body)
    await set_policy(pair.tailnet, "168h")
    _, body = await pair.server.ask(f"{path}?local_user=root", b"", "GET")
    assert orjson.loads(body) == PERMITS


async def test_a_rule_that_goes_while_a_session_waits_lets_nobody_in(pair: Pair) -> None:
    incoming, verdict = pair.open()
    auth_id = await incoming.auth_id()
    await pair.server.client.ping() if pair.server.client else None
    await set_policy(pair.tailnet, "")
    await pair.server.until(lambda: incoming.rule() is None)
    await pair.approve(auth_id)
    assert await asyncio.wait_for(verdict, 5) == REJECTED


ODD = (
    "{src}/to/999999", "999999/to/{dst}", "{dst}/to/{src}", "0/to/0", "{src}/to/{dst}/more", "{src}/to/",
    "-1/to/{dst}", "{src}/to/18446744073709551615", "99999999999999999999999/to/{dst}", "x/to/y", "",
    "{src}/to/{dst}?local_user=root&local_user=ann", "{src}/to/{dst}?local_user=%00",
    "{src}/to/{dst}?local_user=%ff", "{src}/to/{dst}?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9",
    "%31/to/{dst}", "{src}/to/{dst}?local_user=" + "x" * 300,
    "{src}/to/{dst}?local_user=" + "y" * 9000, "{src}/to/{dst}?auth_id=" + "z" * 500, "../../map",
)  # fmt: skip


async def test_what_is_odd_or_unknown_has_one_answer(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for path in ODD:
            filled = path.replace("{src}", str(pair.laptop.id)).replace("{dst}", str(pair.server.id))
            status, body = await pair.server.ask("/machine/ssh/action/" + filled, b"", "GET")
            assert (status, orjson.loads(body)) == (200, REJECTED), path
    assert not caplog.records


@pytest.mark.statement(115)
async def test_only_the_destination_is_answered(pair: Pair) -> None:
    incoming, verdict = pair.open()
    auth_id = await incoming.auth_id()
    path = "{0.path}?{0.query}".format(urlsplit(incoming.url()))
    for thief in (pair.laptop, await pair.tailnet.device("stranger").connect()):
        for more in ("", f"&auth_id={auth_id}"):
            status, body = await thief.ask(path + more, b"", "GET")
            assert (status, orjson.loads(body)) == (200, REJECTED)
    for method in ("POST", "PUT", "DELETE"):
        assert (await pair.server.ask(path, b"", method))[0] == 405
    assert not verdict.done()
    verdict.cancel()


async def test_an_auth_id_of_another_session_begins_anew(pair: Pair) -> None:
    third = await pair.tailnet.device("third").join(await pair.tailnet.auth_key(1))
    await pair.server.sees(third)
    await pair.server.until(lambda: Incoming(pair.server, third).rule() is not None)
    incoming, verdict = pair.open()
    theirs = await incoming.auth_id()
    await pair.approve(theirs)
    assert await verdict == PERMITS
    path = "{0.path}?{0.query}".format(urlsplit(Incoming(pair.server, third).url()))
    for auth_id in (theirs, ABSENT, "nonsense"):
        _, body = await pair.server.ask(f"{path}&auth_id={auth_id}", b"", "GET")
        answer = orjson.loads(body)
        assert "visit:" in answer["message"] and theirs not in answer["holdAndDelegate"]


async def test_sessions_that_come_too_often_are_told_when_to_come_back(tmp_path: Path) -> None:
    config = config_in(tmp_path, reconnects_per_second=0.2)
    async with tailnet_in(tmp_path, config) as tailnet:
        pair = await pair_in(tailnet, tailnet.device("laptop"), tailnet.device("server"))
        path = "{0.path}?{0.query}".format(urlsplit(Incoming(pair.server, pair.laptop).url()))
        said = [(await pair.server.ask(path, b"", "GET"))[0] for _ in range(30)]
        assert set(said) == {200, 429} and said[:10] == [200] * 10
        assert await pair.server.report("192.0.2.1:1") == 200


async def test_a_held_question_is_answered_in_time_and_asked_again(tmp_path: Path) -> None:
    config = config_in(tmp_path, login_wait=timedelta(seconds=0.2))
    async with tailnet_in(tmp_path, config) as tailnet:
        pair = await pair_in(tailnet, tailnet.device("laptop"), tailnet.device("server"))
        incoming, verdict = pair.open()
        auth_id = await incoming.auth_id()
        async with asyncio.timeout(5):
            while len(incoming.statuses) < 4:  # noqa: ASYNC110  the fake client says nothing
                await asyncio.sleep(0.01)
        assert len(incoming.banners) == 1
        await pair.approve(auth_id)
        assert await verdict == PERMITS


async def test_a_word_outlives_a_restart_and_ends_with_the_node(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path) as tailnet:
        pair = await pair_in(tailnet, tailnet.device("laptop"), tailnet.device("server"))
        incoming, verdict = pair.open()
        await pair.approve(await incoming.auth_id())
        assert await verdict == PERMITS
        laptop, server = pair.laptop, pair.server
    async with tailnet_in(tmp_path) as tailnet:
        for device in (laptop, server):
            device.url = tailnet.url
            tailnet.devices.append(device)
            await device.connect()
            assert await device.open_map() == 200
            await device.until(lambda here=device: here.netmap.node is not None)
        again = Pair(tailnet, laptop, server)
        await server.until(lambda: Incoming(server, laptop).rule() is not None)
        incoming, verdict = again.open()
        assert await verdict == PERMITS and incoming.banners == []
        url = incoming.url()
        await tailnet.admin.ExpireNode(node_pb2.ExpireNodeRequest(node_id=laptop.id))
        expired = await incoming.fetch(url)
        assert expired["reject"]
        await tailnet.delete(laptop.id)
        assert await incoming.fetch(url) == REJECTED


class Stack:
    """Two gateways, and two auth instances that each of them knows."""

    def __init__(self, gateways: list[Any], auths: list[tuple[Any, LocalServer]], tailnet: Tailnet) -> None:
        self.gateways, self.auths, self.tailnet = gateways, auths, tailnet

    def device(self, hostname: str, number: int) -> Device:
        """A device at one of the gateways."""
        made = Device(f"http://127.0.0.1:{self.gateways[number].port}", hostname)
        self.tailnet.devices.append(made)
        return made


@asynccontextmanager
async def stack_in(folder: Path) -> AsyncIterator[Stack]:
    """Registry, policy and map streamer once, auth and gateway twice; each gateway prefers another auth."""
    config, bus, clock = config_in(folder), MemoryBus(), SystemClock()
    async with AsyncExitStack() as exits:
        base = LocalServer()
        names = ("policy", "registry", "map_streamer")
        channels: dict[str, grpc.aio.Channel] = dict.fromkeys(names, LocalChannel(base))
        for name in names:
            service = await BUILDS[name](config, Deps(clock, bus, channels, Telemetry()))
            service.add_to(base)
            await service.start()
            exits.push_async_callback(service.stop)
        auths = []
        for _ in range(2):
            auth = await services.auth.wiring.build(config, Deps(clock, bus, channels, Telemetry()))
            server = LocalServer()
            auth.add_to(server)
            await auth.start()
            exits.push_async_callback(auth.stop)
            auths.append((auth, server))
        gateways = []
        for number in range(2):
            own = replace(config, unix_socket=folder / f"admin{number}.sock")
            order = [auths[number][1], auths[1 - number][1]]
            both = OutgoingChannel([LocalChannel(server) for server in order])
            made = await gateway.wiring.build(own, Deps(clock, bus, {**channels, "auth": both}, Telemetry()))
            await made.start()
            exits.push_async_callback(made.stop)
            gateways.append(made)
        channel = await exits.enter_async_context(grpc.aio.insecure_channel(f"unix:{folder}/admin0.sock"))
        tailnet = Tailnet(f"http://127.0.0.1:{gateways[0].port}", channel, gateways[0], Telemetry())
        yield Stack(gateways, auths, tailnet)
        for device in tailnet.devices:
            await device.close()


async def test_a_yes_at_one_gateway_and_auth_reaches_a_session_at_the_others(tmp_path: Path) -> None:
    async with stack_in(tmp_path) as stack:
        pair = await pair_in(stack.tailnet, stack.device("laptop", 0), stack.device("server", 1))
        incoming, verdict = pair.open()
        await pair.approve(await incoming.auth_id())
        assert await asyncio.wait_for(verdict, 5) == PERMITS


async def test_a_session_waits_on_when_its_gateway_goes(tmp_path: Path) -> None:
    async with stack_in(tmp_path) as stack:
        pair = await pair_in(stack.tailnet, stack.device("laptop", 0), stack.device("server", 1))
        incoming, verdict = pair.open()
        auth_id = await incoming.auth_id()
        await pair.server.client.ping() if pair.server.client else None
        await stack.gateways[1].stop()
        pair.server.url = stack.device("nobody", 0).url
        await pair.server.connect()
        await pair.approve(auth_id)
        assert await asyncio.wait_for(verdict, 10) == PERMITS
        assert len(incoming.banners) == 1


async def test_a_session_waits_on_when_its_auth_goes(tmp_path: Path) -> None:
    async with stack_in(tmp_path) as stack:
        pair = await pair_in(stack.tailnet, stack.device("laptop", 0), stack.device("server", 1))
        incoming, verdict = pair.open()
        auth_id = await incoming.auth_id()
        async with asyncio.timeout(5):
            while not any(auth.parked for auth, _ in stack.auths):  # noqa: ASYNC110  nothing says so
                await asyncio.sleep(0.01)
        number = next(number for number, (auth, _) in enumerate(stack.auths) if auth.parked)
        auth, server = stack.auths[number]
        await server.stop(None)
        await auth.stop()
        await pair.approve(auth_id)
        assert await asyncio.wait_for(verdict, 10) == PERMITS
        assert len(incoming.banners) == 1
