"""Keys that nothing here reads: ignored with a warning where Headscale ignores them, refused where that would harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.shared.config import ConfigError
from services.shared.config.environment import keys
from services.shared.config.legacy import LEGACY_KEYS
from services.shared.config.unknown import CLOSING, OURS, judge
from tests.unit.config.reading import from_file

# what is written, the key that is named, and the hint: none where it would be a guess
IGNORED: list[tuple[dict[str, Any], str, str]] = [
    ({"users": ["lab"]}, "users", ""),
    ({"node_expiry": {"enabled": True}}, "node_expiry", "did you mean `node.expiry`?"),
    ({"listen_adr": "x"}, "listen_adr", "did you mean `listen_addr`?"),
    ({"dns.extra_recods": []}, "dns.extra_recods", "did you mean `dns.extra_records`?"),
    ({"dns.global": ["1.1.1.1"]}, "dns.global", "did you mean `dns.nameservers.global`?"),
    ({"derp.server.update_frequency": "1h"}, "derp.server.update_frequency", "did you mean `derp.update_frequency`?"),
    ({"dns.servers": ["1.1.1.1"]}, "dns.servers", ""),
    ({"dns_magic_dns": True}, "dns_magic_dns", "did you mean `dns.magic_dns`?"),
    ({"override_local_dns": True}, "override_local_dns", "did you mean `dns.override_local_dns`?"),
    ({"database.postgres.password_file": "/p"}, "database.postgres.password_file", ""),
    ({"tuning.something": 1}, "tuning.something", ""),
    ({"host": "a"}, "host", ""),
    ({"grpc.listen_addr": ":1"}, "grpc.listen_addr", "did you mean `grpc_listen_addr`?"),
    ({"tls.cert_path": "/c"}, "tls.cert_path", "did you mean `tls_cert_path`?"),
    ({"sqlite.path": "/d"}, "sqlite.path", "did you mean `database.sqlite.path`?"),
    (
        {"ephemeral.inactivity_timeout": "1h"},
        "ephemeral.inactivity_timeout",
        "did you mean `node.ephemeral.inactivity_timeout`?",
    ),
    ({"nameservers.global": ["1.1.1.1"]}, "nameservers.global", "did you mean `dns.nameservers.global`?"),
    ({"server.listen_addr": ":1"}, "server", ""),
    ({"headplane": {"port": 3000}}, "headplane", ""),
    ({"oidc.groups_claim": "roles"}, "oidc.groups_claim", ""),
]
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"gateway.wokers": 1}, "gateway.wokers", "did you mean `gateway.workers`?"),
    ({"services.regsitry": {"listen_addr": "a:1"}}, "services.regsitry", "did you mean `services.registry`?"),
    ({"telemetry.color": 1}, "telemetry.color", "remove it, or see the list of keys in the documentation"),
    ({"bus.urls": "x"}, "bus.urls", "did you mean `bus.url`?"),
    ({"oidc.claims.mail_address": "x"}, "oidc.claims.mail_address", "remove it, or see the list of keys in"),
    ({"oidc.providers": {"a": {"issuer": "https://a", "colour": 1}}}, "oidc.providers.a.colour", "remove it"),
    ({"oidc.allowed_group": ["a"]}, "oidc.allowed_group", "did you mean `oidc.allowed_groups`?"),
    ({"allowed_domains": ["a.example"]}, "allowed_domains", "did you mean `oidc.allowed_domains`?"),
    ({"trusted_proxy": ["10.0.0.1"]}, "trusted_proxy", "did you mean `trusted_proxies`?"),
    ({"tls_certpath": "/c"}, "tls_certpath", "did you mean `tls_cert_path`?"),
    ({"derp.server.verify_client": True}, "derp.server.verify_client", "did you mean `derp.server.verify_clients`?"),
    ({"oidc": None, "issuer": "https://a"}, "issuer", "whose section is empty, indent it below that"),
    ({"dns_config": None, "nameservers": ["1.1.1.1"]}, "nameservers", "if it belongs to `dns_config`"),
]


@pytest.mark.parametrize(("flat", "key", "hint"), IGNORED, ids=[key for _, key, _ in IGNORED])
def test_a_key_that_headscale_ignores_is_ignored_with_a_warning(
    tmp_path: Path, flat: dict[str, Any], key: str, hint: str
) -> None:
    (warning,) = from_file(tmp_path, flat).warnings
    where, _, said = warning.partition(f": {key} ")
    assert where.startswith(f"{tmp_path}/config.yaml:")
    assert said == "is not a key of this server, and is ignored" + (f" — {hint}" if hint else "")


@pytest.mark.parametrize(("flat", "key", "hint"), REFUSED, ids=[key for _, key, _ in REFUSED])
def test_a_slip_that_would_harm_is_refused(tmp_path: Path, flat: dict[str, Any], key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_file(tmp_path, flat)
    (problem,) = [problem for problem in caught.value.problems if problem.key == key]
    assert problem.what.startswith("no such key") and hint in problem.remedy


@pytest.mark.parametrize("key", ["users", "gateway.wokers", "database.postgres.password_file", "oidc.allowed_group"])
def test_a_key_without_a_value_counts_as_not_given(tmp_path: Path, key: str) -> None:
    assert from_file(tmp_path, {key: None}).warnings == ()
    assert from_file(tmp_path, {f"{key}.below": None}).warnings == ()


@pytest.mark.parametrize("path", [path for path, _ in keys()], ids=[".".join(path) for path, _ in keys()])
def test_each_key_without_a_value_counts_as_not_given(tmp_path: Path, path: tuple[str, ...]) -> None:
    if path != ("server_url",):
        assert from_file(tmp_path, {".".join(path): None}).warnings == ()


def test_what_the_rules_name_exists() -> None:
    every = {path for path, _ in keys()} | set(LEGACY_KEYS)
    assert {key for key in CLOSING if tuple(key.split(".")) not in every} == set()
    sections = {key[: len(section)] for key in every for section in OURS}
    assert sections | {("oidc", "providers")} >= OURS


def test_a_hint_is_never_a_guess_between_two() -> None:
    assert judge(("dns", "abcf"), [("dns", "abcd"), ("dns", "abce")]).remedy == ""
    assert judge(("dns", "abcf"), [("dns", "abcd"), ("dns", "wxyz")]).remedy == "did you mean `dns.abcd`?"
