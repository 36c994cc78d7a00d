"""Policies as people write them get one verdict: from the check, when they are set, and from the file at the start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from headscale.v1 import policy_pb2, user_pb2

from services.shared.config.login import OidcConfig
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVIDER = OidcConfig(
    issuer="https://idp.example.net", client_id="x", client_secret="y", only_start_if_oidc_is_available=False
)
ACCEPT = '"action": "accept"'


def rule(src: str, dst: str, more: str = "") -> str:
    """A policy of one rule, and more sections before it."""
    return f'{{{more}"acls": [{{"action": "accept", "src": [{src}], "dst": [{dst}]}}]}}'


def with_open(section: str) -> str:
    """A policy that allows everything, and a section."""
    return f'{{{section}, "acls": [{{{ACCEPT}, "src": ["*"], "dst": ["*:*"]}}]}}'


VALID: dict[str, str] = {
    "bare names of 0.22 in groups": rule('"group:a"', '"bob:*"', '"groups": {"group:a": ["ada", "bob"]}, '),
    "bare names in tag owners": rule('"tag:x"', '"ada:22"', '"tagOwners": {"tag:x": ["ada"]}, '),
    "bare names in approvers": with_open('"autoApprovers": {"routes": {"10.0.0.0/8": ["ada"]}, "exitNode": ["bob"]}'),
    "bare names in ssh": with_open(f'"ssh": [{{{ACCEPT}, "src": ["ada"], "dst": ["ada"], "users": ["root"]}}]'),
    "bare names in grants": '{"grants": [{"src": ["ada"], "dst": ["bob"], "ip": ["*:443"]}]}',
    "bare names in node attributes": with_open('"nodeAttrs": [{"target": ["ada"], "attr": ["magicdns-aaaa"]}]'),
    "an address of a user": rule('"Carol@Example.com"', '"carol@:*"'),
    "a group of the provider": rule('"group:dev"', '"*:*"'),
    "such a group as tag owner": with_open('"tagOwners": {"tag:x": ["group:ops"]}'),
    "such a group in ssh": with_open(
        f'"ssh": [{{{ACCEPT}, "src": ["group:ops"], "dst": ["autogroup:self"], "users": ["autogroup:nonroot"]}}]'
    ),
    "such a group as approver": with_open('"autoApprovers": {"exitNode": ["group:net"]}'),
    "such a group in a grant": '{"grants": [{"src": ["group:net"], "dst": ["autogroup:internet"], "ip": ["*"]}]}',
    "old spellings": '{"ACLs": [{"Action": "accept", "Users": ["ada"], "Ports": ["bob:22"]}]}',
    "commas and comments": '{\n // all\n "acls": [{"action": "accept", "src": ["*",], "dst": ["*:*",],},], /* */\n}',
    "a byte order mark": "\ufeff" + with_open('"hosts": {}'),
    "random ports": with_open('"randomizeClientPort": true'),
    "nobody of that name": rule('"zoe@"', '"*:*"'),
    "YAML": "# rules\nacls:\n  - action: accept\n    src: ['*']\n    dst: ['*:*']\n",
}
INVALID: dict[str, str] = {
    "a host that is none": rule('"zoe"', '"*:*"'),
    "a hash": "# rules\n" + with_open('"hosts": {}'),
    "a hash behind": with_open('"hosts": {}') + " # rules",
    "an open list": '{"acls": [',
    "a destination without ports": rule('"*"', '"*"'),
    "a tag without owners": rule('"tag:none"', '"*:*"'),
    "an unknown section": '{"acl": []}',
    "a failing test": rule('"ada@"', '"bob@:22"', '"tests": [{"src": "ada@", "accept": ["bob@:80"]}], '),
    "an action": '{"acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}]}',
    "a group in a group": rule('"group:a"', '"*:*"', '"groups": {"group:a": ["group:b"]}, '),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tailnet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tailnet]:
    """A tailnet with a sign-in provider, two local users and one with an address."""
    folder: Path = tmp_path_factory.mktemp("verdicts")
    async with tailnet_in(folder, replace(config_in(folder, admin_calls_per_second=1000), oidc=PROVIDER)) as running:
        for name, email in (("ada", ""), ("bob", ""), ("carol", "carol@example.com")):
            await running.admin.CreateUser(user_pb2.CreateUserRequest(name=name, email=email))
        yield running


async def verdicts(tailnet: Tailnet, text: str) -> list[str]:
    """What the check says, and what the setting says: empty where it is accepted."""
    said = []
    for call in (
        tailnet.admin.CheckPolicy(policy_pb2.CheckPolicyRequest(policy=text)),
        tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=text)),
    ):
        try:
            await call
            said.append("")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            said.append(error.details() or "?")
    return said


@pytest.mark.parametrize("name", VALID)
async def test_check_and_set_accept_it(tailnet: Tailnet, name: str) -> None:
    assert await verdicts(tailnet, VALID[name]) == ["", ""]


@pytest.mark.parametrize("name", INVALID)
async def test_check_and_set_refuse_it_in_the_same_words(tailnet: Tailnet, name: str) -> None:
    checked, given = await verdicts(tailnet, INVALID[name])
    assert checked and checked == given
