"""Configurations of people who run such servers: what `configtest` says, and what a device of theirs is sent."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.flow.public_cases.folder import configtest, copy_of, run, serving

TAKEN: dict[str, tuple[str, ...]] = {
    "14-nixos-module": (),
    "15-stray-top-level-key": ("config.yaml:7: users ", "config.yaml:8: node_expiry "),
    "17-key-of-0.16": ("config.yaml:7: tls_client_auth_mode is ignored",),
    "18-misplaced-urls-and-tuning": ("derp.server.urls is now derp.urls", "tuning.node_mapsession_changed_buffer_size"),
    "19-dns-split-misplaced": ("dns.split is now dns.nameservers.split",),
    "20-prefix-with-host-bits": ("has host bits — 100.64.0.0/12 is used",),
    "22-empty-list-for-mapping": (),
    "25-log-level-warning": (),
    "26-split-domain-capitals": (),
    "28-nameserver-that-no-client-can-use": ('"dns.example.com", which is neither', '"tls://1.1.1.1", which is a tls'),
    "30-extra-record-wildcard": ('"*.apps.ts.example.net"',),
}
"""The configurations that start, and what each warning of them says."""
REFUSED: dict[str, tuple[int, str, str]] = {
    "32-configtest-http-issuer": (7, "oidc.issuer", "is http:// on another host"),
    "33-configtest-secret-file": (7, "oidc.client_secret_path", "${NOWHERE}/oidc cannot be read: it does not exist"),
    "35-configtest-noise-key": (3, "noise.private_key_path", "does not contain a private key"),
    "36-configtest-policy-file": (7, "policy.path", "object is not closed (line 1, column 1)"),
    "46-derp-no-usable-source": (7, "derp.paths", "/nonexistent/derp.yaml cannot be read"),
}
"""The configurations that do not start: the line and the key of the refusal, and its words."""
V4 = {"20-prefix-with-host-bits": "100.64.0.0/12"}


@pytest.mark.parametrize("name", TAKEN)
async def test_configtest_takes_it_and_warns_of_what_is_ignored_or_left_out(tmp_path: Path, name: str) -> None:
    answer = await configtest(copy_of(name, tmp_path))
    warnings = [line for line in answer.err.splitlines() if "config.yaml:" in line]
    assert (answer.status, answer.out) == (0, "config.yaml: ok\n"), answer
    assert len(warnings) == len(TAKEN[name]) and all(map(str.__contains__, warnings, TAKEN[name])), warnings


SPLIT: dict[str, dict[str, list[dict[str, str]]]] = {
    "19-dns-split-misplaced": {"corp.example": [{"Addr": "10.0.0.53"}]},
    "26-split-domain-capitals": {"foo.example": [{"Addr": "100.64.9.9"}], "bar.example": [{"Addr": "100.64.9.8"}]},
}
GLOBAL = {"22-empty-list-for-mapping": ["9.9.9.9"], "28-nameserver-that-no-client-can-use": ["9.9.9.9"]}


@pytest.mark.parametrize("name", TAKEN)
async def test_serve_starts_on_it_and_a_device_is_sent_only_what_it_can_use(tmp_path: Path, name: str) -> None:
    async with serving(copy_of(name, tmp_path)) as server:
        device = await server.device("ada")
        node, dns = device.netmap.node or {}, device.netmap.dns or {}
        await device.close()
    routes = {domain: servers for domain, servers in (dns.get("Routes") or {}).items() if servers}
    servers = [one["Addr"] for one in (dns.get("Resolvers") or dns.get("FallbackResolvers") or ())]
    assert (routes, servers, dns.get("ExtraRecords")) == (SPLIT.get(name, {}), GLOBAL.get(name, []), None)
    assert ip_network(node["Addresses"][0]).subnet_of(ip_network(V4.get(name, "100.64.0.0/10")))
    lines = [line for line in server.log if "WARN" in line and "config.yaml:" in line]
    assert len(lines) == len(TAKEN[name]), server.log


@pytest.mark.parametrize("name", REFUSED)
async def test_configtest_refuses_what_serve_cannot_use_and_names_it(tmp_path: Path, name: str) -> None:
    line, key, words = REFUSED[name]
    answer = await configtest(copy_of(name, tmp_path))
    assert (answer.status, answer.out) == (1, "") and words in answer.err, answer
    assert f"config.yaml:{line}: {key}: " in answer.err


@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith("36")])
async def test_serve_refuses_it_in_the_same_words(tmp_path: Path, name: str) -> None:
    line, key, words = REFUSED[name]
    folder = copy_of(name, tmp_path)
    answer = await run(folder, {"HOME": str(folder), "PATH": os.environ["PATH"]}, "-c", "config.yaml", "serve")
    assert answer.status == 1 and words in answer.err, answer
    assert f"config.yaml:{line}" in answer.err and key in answer.err


async def test_a_policy_file_that_is_not_there_is_named_at_configtest(tmp_path: Path) -> None:
    folder = copy_of("36-configtest-policy-file", tmp_path)
    (folder / "acl.hujson").unlink()
    answer = await configtest(folder)
    assert answer.status == 1 and "policy.path: " in answer.err and "does not exist" in answer.err, answer
