"""Too many calls and too many wrong keys are told when to come back; each client is counted by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from headscale.v1 import apikey_pb2, headscale_pb2_grpc, user_pb2
from prometheus_client import generate_latest

from gateway.admin.grpc.peer import address_of
from services.shared.rate import network_of
from tests.fakes.ports import free_port
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in
from tests.flow.admin.answers import refused


async def test_too_many_calls_and_too_many_wrong_keys_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=1)) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers) as client:
            answers = [await client.get("/api/v1/user") for _ in range(12)]
        assert answers[0].status_code == 200
        refused(answers[-1], 429, "too many calls")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_wrong_keys_are_few(tailnet: Tailnet) -> None:
    headers = {"authorization": "Bearer hskey-api-aaaaaaaaaaaa-" + "0" * 64}
    async with httpx.AsyncClient(base_url=tailnet.url, headers=headers) as client:
        answers = [await client.get("/api/v1/user") for _ in range(22)]
    refused(answers[0], 401, "invalid token")
    refused(answers[-1], 429, "too many wrong keys")
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_right_key_is_never_locked_out_by_wrong_ones_from_the_same_address(
    web: httpx.AsyncClient, tailnet: Tailnet
) -> None:
    for _ in range(30):
        await web.get("/user", headers={"authorization": "Bearer x"})
    refused(await web.get("/user", headers={"authorization": "Bearer x"}), 429)
    fresh = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
    assert (await web.get("/user", headers={"authorization": f"Bearer {fresh}"})).status_code == 200
    flood = [web.get("/user", headers={"authorization": f"Bearer {number}"}) for number in range(40)]
    *guessed, right = await asyncio.gather(*flood, web.get("/user"))
    assert {answer.status_code for answer in guessed} <= {401, 429}
    assert right.status_code == 200


async def test_limits_hold_over_grpc_too(tmp_path: Path) -> None:
    port = free_port()
    config = replace(
        config_in(tmp_path, admin_calls_per_second=1), grpc_listen_addr=f"127.0.0.1:{port}", grpc_allow_insecure=True
    )
    async with tailnet_in(tmp_path, config) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)
            metadata = (("authorization", f"Bearer {key}"),)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                for _ in range(12):
                    await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing = caught.value.trailing_metadata()
        assert trailing is not None and int(str(dict(trailing)["retry-after"])) >= 1
        for _ in range(40):  # whoever may open the socket is trusted
            await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())


@pytest.mark.parametrize(("trusted", "limited"), [(("127.0.0.1/32",), False), ((), True)])
async def test_behind_a_trusted_proxy_grpc_counts_each_client_by_itself(
    tmp_path: Path, trusted: tuple[str, ...], limited: bool
) -> None:
    port = free_port()
    config = replace(
        config_in(tmp_path), grpc_listen_addr=f"127.0.0.1:{port}", grpc_allow_insecure=True, trusted_proxies=trusted
    )
    async with tailnet_in(tmp_path, config), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)

        async def guess(client: str) -> grpc.StatusCode:
            metadata = (("authorization", "Bearer x"), ("x-forwarded-for", client))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=metadata)
            return caught.value.code()

        answers = [await guess("203.0.113.1") for _ in range(25)]
        assert answers[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await guess("203.0.113.2") is grpc.StatusCode.RESOURCE_EXHAUSTED) is limited


async def test_calls_are_counted_by_what_came_of_them(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    await web.get("/user")
    await web.get("/node/99")
    await web.get("/user", headers={"authorization": "Bearer x"})
    told = generate_latest(tailnet.telemetry.registry).decode()
    assert 'smartscale_admin_calls_total{call="ListUsers",status="OK"} 1.0' in told
    assert 'smartscale_admin_calls_total{call="GetNode",status="NOT_FOUND"} 1.0' in told
    assert 'smartscale_admin_refused_total{status="UNAUTHENTICATED"} 1.0' in told


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:192.0.2.7:4711", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:4711", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:4711", "192.0.2.7"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_counts_as_the_network_of_one_subscriber(peer: str, network: str) -> None:
    assert network_of(address_of(peer)) == network
