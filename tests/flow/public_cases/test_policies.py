"""Policies of people who run such servers: `policy check` and `policy set` agree, with the place of each finding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.shared.config.login import OidcConfig
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in
from tests.flow.public_cases.folder import copy_of

PROVIDER = OidcConfig(
    issuer="https://idp.example.net", client_id="x", client_secret="y", only_start_if_oidc_is_available=False
)
VALID: dict[str, tuple[str, ...]] = {
    "01-check-bare-user": ("ada@", "bob@"),
    "02-check-provider-group": ("group:dev",),
    "04-check-provider-group-as-tag-owner": ("group:dev",),
    "37-place-of-warning-members": ("autogroup:members", "(line 3, column 33)"),
    "61-policy-email-case": (),
    "65-grant-ip-star-port": (),
}
"""The policies that are accepted, and words of their warnings."""


async def people(tailnet: Tailnet) -> None:
    for name in ("ada", "bob"):
        await tailnet.user(name)


@pytest.mark.parametrize("name", VALID)
async def test_check_and_set_accept_it_with_the_same_warnings(tmp_path: Path, name: str) -> None:
    policy = copy_of(name, tmp_path) / "policy.hujson"
    shell = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))
    async with tailnet_in(tmp_path, replace(config_in(tmp_path), oidc=PROVIDER)) as tailnet:
        await people(tailnet)
        checked, given = await shell("policy", "check", str(policy)), await shell("policy", "set", str(policy))
    assert (checked.status, given.status) == (0, 0), (checked, given)
    for words in VALID[name]:
        assert words in checked.out + checked.err and words in given.out + given.err, (checked, given)


async def test_without_a_server_a_comment_of_another_language_is_named(tmp_path: Path) -> None:
    policy = copy_of("39-hash-comment-in-hujson", tmp_path) / "policy.hujson"
    answer = await Shell(tmp_path)("policy", "check", str(policy))
    assert answer.status == 1 and "#" in answer.err and "//" in answer.err and "/*" in answer.err, answer
    assert "(line 1, column 1)" in answer.err


async def test_an_address_is_matched_in_either_case(tmp_path: Path) -> None:
    folder = copy_of("61-policy-email-case", tmp_path)
    where = ("--topology", str(folder / "tailnet.yaml"), "--policy", str(folder / "policy.hujson"))
    shell = Shell(tmp_path)
    assert (await shell("policy", "check", str(folder / "policy.hujson"), *where[:2])).err == ""
    for port, verdict in (("22", "a may reach b"), ("80", "a may not reach b")):
        answer = await shell("policy", "explain", "a", f"b:{port}", *where)
        assert verdict in answer.out, answer
