"""The unix socket speaks HTTP/1.1 beside gRPC, and the public address speaks every call over HTTP/1.1."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import httpx
import pytest
from headscale.v1 import user_pb2

from cli.frame.errors import CommandError
from cli.link.over_http import HttpChannel
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet


async def test_rest_is_on_the_socket_without_a_key_and_knows_the_user(tailnet: Tailnet, tmp_path: Path) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "admin.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
        made = await client.post("/api/v1/user", json={"name": "alice"})
        assert made.json()["user"]["name"] == "alice"
        text = '{"acls": []}'
        assert (await client.put("/api/v1/policy", json={"policy": text})).status_code == 200
        versions = (await client.get("/api/v1/policy/version")).json()["versions"]
        assert versions[0]["author"] == f"unix socket ({getpass.getuser()})"
        assert (await client.get("/health")).status_code == 404
    assert [user.name for user in (await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())).users] == ["alice"]


async def test_many_connections_of_both_kinds_at_once(tailnet: Tailnet, tmp_path: Path) -> None:
    async def ask(number: int) -> int:
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "admin.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
            return (await client.get("/api/v1/user")).status_code

    grpc_calls = (tailnet.admin.ListUsers(user_pb2.ListUsersRequest()) for _ in range(40))
    answers = await asyncio.gather(*(ask(number) for number in range(40)), *grpc_calls)
    assert answers[:40] == [200] * 40


@pytest.mark.parametrize("first", [b"", b"P", b"PRI * HTTP/2.0\r\n\r\nnonsense", b"\0\0\0\0", b"PUT"])
async def test_connections_that_say_nothing_sensible_hold_up_nobody(
    tailnet: Tailnet, tmp_path: Path, first: bytes
) -> None:
    _, writer = await asyncio.open_unix_connection(str(tmp_path / "admin.sock"))
    writer.write(first)
    await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())
    writer.close()


async def test_every_call_passes_http_on_the_public_address(tailnet: Tailnet, key: str) -> None:
    url = tailnet.url + "/api/rpc/"
    large = bytes((4 << 20) + 1)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/proto"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        request = user_pb2.CreateUserRequest(name="alice").SerializeToString()
        made = await client.post("headscale.v1.HeadscaleService/CreateUser", content=request)
        assert user_pb2.CreateUserResponse.FromString(made.content).user.name == "alice"
        again = await client.post("headscale.v1.HeadscaleService/CreateUser", content=request)
        assert (again.status_code, again.json()["code"]) == (409, "already_exists")
        for path, body, kind, status, code in (
            ("headscale.v1.HeadscaleService/Nothing", b"", "application/proto", 501, "unimplemented"),
            ("smartscale.registry.v1.RegistryService/ListUsers", b"", "application/proto", 501, "unimplemented"),
            ("headscale.v1.HeadscaleService/CreateUser", b"\xff", "application/proto", 400, "invalid_argument"),
            ("headscale.v1.HeadscaleService/CreateUser", b"{}", "application/json", 400, "invalid_argument"),
            (
                "headscale.v1.HeadscaleService/CreateUser",
                large,
                "application/proto",
                413,
                "resource_exhausted",
            ),
        ):
            answer = await client.post(path, content=body, headers={"content-type": kind})
            assert (answer.status_code, answer.json()["code"]) == (status, code), path
        stranger = await client.post("headscale.v1.HeadscaleService/ListUsers", headers={"authorization": "Bearer x"})
        assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthenticated")


async def test_the_command_line_works_over_the_public_address(tailnet: Tailnet, key: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, HEADSCALE_CLI_ADDRESS=tailnet.url, HEADSCALE_CLI_API_KEY=key)
    assert (await shell("users", "create", "alice")).status == 0
    listed = await shell("users", "list", "-o", "json")
    assert [user["name"] for user in listed.data] == ["alice"]
    wrong = Shell(tmp_path, HEADSCALE_CLI_ADDRESS=tailnet.url, HEADSCALE_CLI_API_KEY="x")
    refused = await wrong("users", "list")
    assert refused.status == 1 and "invalid token" in refused.err


def test_a_key_is_not_sent_in_clear_text_to_another_machine() -> None:
    with pytest.raises(CommandError, match="clear text"):
        HttpChannel("http://hs.example.net", insecure=False)
    HttpChannel("http://hs.example.net", insecure=True)
    HttpChannel("https://hs.example.net/base/", insecure=False)
    with pytest.raises(CommandError, match="no host"):
        HttpChannel("https://", insecure=False)
