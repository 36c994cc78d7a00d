"""`headscale oidc doctor` and `oidc reload` as a person types them: without a server, and beside a running one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from headscale.v1 import node_pb2, policy_pb2

from services.shared.config import load
from services.shared.runtime.clock import SystemClock
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback
from tests.fakes.shell import Answer, Shell
from tests.fakes.sign_in_pages import ALICE, BOB, PUBLIC, World
from tests.fakes.tailnet import tailnet_in


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provider_on_loopback(SystemClock()) as provider:
        provider.person = dict(ALICE)
        yield provider


def write(folder: Path, provider: Provider, more: str = "", secret: str = SECRET) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        f"server_url: {PUBLIC}\nlisten_addr: 127.0.0.1:0\nmetrics_listen_addr: ''\ngrpc_listen_addr: ''\n"
        f"state_dir: {folder}\nunix_socket: {folder}/admin.sock\npolicy:\n  mode: database\n"
        f'oidc:\n  issuer: "{provider.issuer}"\n  client_id: "{CLIENT_ID}"\n  client_secret: "{secret}"\n'
        f"  provider_name: SmartLink\n{more}"
    )
    return path


async def doctor(folder: Path, *words: str) -> Answer:
    return await Shell(folder)("-c", str(folder / "config.yaml"), "oidc", "doctor", *words)


def of(answer: Answer, check: str) -> list[dict[str, Any]]:
    return [finding for finding in answer.data["findings"] if finding["check"] == check]


async def test_without_a_server_the_file_and_the_provider_are_examined(tmp_path: Path, provider: Provider) -> None:
    write(tmp_path, provider)
    answer = await doctor(tmp_path)
    assert answer.status == 0, answer.out + answer.err
    assert f"OK    discovery        it answers: curl {provider.issuer}/.well-known/openid-configuration" in answer.out
    assert "SKIP  running" in answer.out and "OK    redirect-url" in answer.out


async def test_a_failure_is_the_exit_status_with_cause_and_remedy(tmp_path: Path, provider: Provider) -> None:
    provider.answers = {"openid-configuration": (404, {}, b"")}
    write(tmp_path, provider)
    answer = await doctor(tmp_path)
    assert answer.status == 1 and "FAIL  discovery" in answer.out
    assert (
        "cause: there are no provider metadata" in answer.out
        and "remedy: copy the issuer with the App ID" in answer.out
    )
    assert "checks failed" in answer.err
    answer = await doctor(tmp_path, "--json")
    (found,) = [one for one in of(answer, "discovery") if one["level"] == "FAIL"]
    assert answer.status == 1 and answer.data["ok"] is False and found["subject"] == "oidc" and found["remedy"]


async def test_a_configuration_that_cannot_be_used_is_explained_line_by_line(
    tmp_path: Path, provider: Provider
) -> None:
    write(tmp_path, provider, "  clame: x\n  client_secret_path: y\n")
    answer = await doctor(tmp_path, "--json")
    places = [finding["text"] for finding in of(answer, "configuration")]
    assert answer.status == 1 and any(
        place.startswith(f"{tmp_path}/config.yaml:") and "oidc.clame" in place for place in places
    )
    assert not of(answer, "discovery")


async def test_the_dump_has_what_helps_and_no_secret(tmp_path: Path, provider: Provider) -> None:
    provider.discovery = {"end_session_endpoint": "https://idp.example/logout", "claims_supported": ["groups"]}
    write(tmp_path, provider)
    for words in (("--dump",), ("--dump", "--json")):
        answer = await doctor(tmp_path, *words)
        assert SECRET not in answer.out + answer.err and f"*** ({len(SECRET)} characters)" in answer.out
        assert "claims_supported" in answer.out and "end_session_endpoint" in answer.out
    dump = answer.data["dump"]
    assert dump["configuration"]["oidc.issuer"] == {"value": provider.issuer, "from": f"{tmp_path}/config.yaml:10"}
    assert dump["configuration"]["oidc.scope"]["from"] == "default"
    assert dump["providers"]["oidc"]["redirect_uri"] == f"{PUBLIC}/oidc/callback"


async def test_an_access_token_is_read_from_standard_input_and_told_nowhere(tmp_path: Path, provider: Provider) -> None:
    write(tmp_path, provider)
    words = ("-c", str(tmp_path / "config.yaml"), "oidc", "doctor", "--token", "-", "--dump", "--json")
    answer = await Shell(tmp_path)(*words, stdin="t0ken\n")
    assert of(answer, "claims")[0]["level"] == "OK" and "t0ken" not in answer.out + answer.err


async def test_every_provider_is_examined_or_the_one_that_is_named(tmp_path: Path, provider: Provider) -> None:
    other = (
        '  providers:\n    other:\n      issuer: "http://127.0.0.1:9/x"\n      client_id: c\n      client_secret: s\n'
    )
    write(tmp_path, provider, other)
    answer = await doctor(tmp_path, "--json")
    assert {one["subject"] for one in of(answer, "tcp")} == {"oidc", "oidc.providers.other", "server_url"}
    assert answer.status == 1
    answer = await doctor(tmp_path, "--json", "--provider", "")
    assert {one["subject"] for one in of(answer, "tcp")} == {"oidc", "server_url"} and answer.status == 0
    answer = await doctor(tmp_path, "--provider", "none")
    assert answer.status == 1 and "there are: '' (the default), other" in answer.err


POLICY = """{"groups": {"group:ops": []}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}"""


@pytest.fixture
async def world(tmp_path: Path, provider: Provider) -> AsyncIterator[World]:
    config = load(write(tmp_path, provider), {})
    async with tailnet_in(tmp_path, config) as tailnet:
        yield World(tailnet, provider)


async def test_a_running_server_tells_of_itself_and_of_a_user(world: World, tmp_path: Path) -> None:
    answer = await doctor(tmp_path, "--json", "--user", "alice@example.com")
    (found,) = of(answer, "user")
    assert found["level"] == "FAIL" and "headscale users create" in found["remedy"]
    await world.join("laptop", dict(ALICE))
    await world.join("desk", dict(BOB))
    answer = await doctor(tmp_path, "--json", "--user", "alice@example.com")
    levels = {finding["check"]: finding["level"] for finding in answer.data["findings"]}
    assert answer.status == 0, answer.out
    assert levels["running"] == levels["entry"] == levels["nodes"] == levels["policy"] == "OK"
    assert of(answer, "failures")[0]["text"] == "no sign-in failed recently"

    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    answer = await doctor(tmp_path, "--json", "--user", "bob@example.com")
    assert of(answer, "policy")[0]["level"] == "WARN" and "none of 1" in of(answer, "policy")[0]["text"]

    write(tmp_path, world.provider, "  allowed_domains: [else.example]\n  allowed_groups: [Dev]\n")
    answer = await doctor(tmp_path, "--json", "--user", "alice@example.com")
    assert of(answer, "entry")[0]["cause"] == "domain-not-allowed" and answer.status == 1
    assert "write 'dev' into oidc.allowed_groups" in of(answer, "groups-names")[0]["remedy"]


async def test_expired_devices_and_suspended_users_are_the_reason(world: World, tmp_path: Path) -> None:
    await world.join("laptop", dict(ALICE))
    (node,) = await world.tailnet.nodes()
    await world.tailnet.admin.ExpireNode(node_pb2.ExpireNodeRequest(node_id=node.id))
    answer = await doctor(tmp_path, "--json", "--user", "alice@example.com")
    (found,) = of(answer, "nodes")
    assert found["level"] == "FAIL" and "preauthkeys create --user alice@example.com" in found["remedy"]
    answer = await Shell(tmp_path)("-c", str(tmp_path / "config.yaml"), "users", "suspend", "alice@example.com")
    assert answer.status == 0, answer.err
    answer = await doctor(tmp_path, "--json", "--user", "alice@example.com")
    assert "headscale users restore" in of(answer, "suspended")[0]["remedy"]


async def test_the_last_failures_are_told_with_their_reason_and_reference(world: World, tmp_path: Path) -> None:
    world.provider.claims = {"aud": "somebody-else"}
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        where, _ = await world.to_confirm(browser, path)
    waiting.cancel()
    (found,) = of(await doctor(tmp_path, "--json"), "failures")
    assert found["level"] == "WARN" and "token-audience" in found["cause"]
    assert where.rpartition("/")[2] in found["remedy"]


async def test_what_answers_at_the_server_url_is_known_or_not(world: World, tmp_path: Path) -> None:
    for there, level in ((world.tailnet.url, "OK"), (world.provider.origin, "WARN")):
        path = write(tmp_path, world.provider)
        path.write_text(path.read_text().replace(PUBLIC, there))
        (found,) = of(await doctor(tmp_path, "--json"), "answer")
        assert found["level"] == level, found


async def test_a_server_that_uses_another_configuration_is_noticed(world: World, tmp_path: Path) -> None:
    async with provider_on_loopback(SystemClock()) as other:
        write(tmp_path, other)
        answer = await doctor(tmp_path, "--json")
        assert any("headscale oidc reload" in one["remedy"] for one in of(answer, "running"))
