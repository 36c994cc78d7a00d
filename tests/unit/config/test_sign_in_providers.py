"""The configuration of sign-in: several providers, their faults, and what is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.shared.config import ConfigError, load
from services.shared.config.environment import keys
from services.shared.config.login import ProviderConfig
from tests.unit.config.reading import URL, from_file

TWO = f"""
server_url: {URL}
oidc:
  issuer: https://one.example
  client_id: a
  client_secret: s
  providers:
    entra:
      issuer: https://two.example
      provider_name: Entra
      client_id: b
      client_secret: t
      allowed_domains: [b.example]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


def test_several_providers_stand_beside_the_default(tmp_path: Path) -> None:
    oidc = load(write(tmp_path, TWO), {}).oidc
    assert [(name, one.issuer, one.provider_name) for name, one in oidc.in_use().items()] == [
        ("", "https://one.example", "OIDC"),
        ("entra", "https://two.example", "Entra"),
    ]
    assert oidc.all_domains() == ("b.example",) and not oidc.allowed_domains


def test_a_further_provider_is_set_by_variables_files_and_credentials(tmp_path: Path) -> None:
    (tmp_path / "oidc.providers.entra.client_secret").write_text("from-credential\n")
    (tmp_path / "s").write_text("from-file\n")
    env = {
        "HEADSCALE_OIDC_PROVIDERS_ENTRA_ALLOWED_DOMAINS": "c.example",
        "HEADSCALE_OIDC_PROVIDERS_ENTRA_CLAIMS_EMAIL": "mail",
        "HEADSCALE_OIDC_PROVIDERS_IN_ENV_ISSUER": "https://three.example",
        "HEADSCALE_OIDC_PROVIDERS_IN_ENV_CLIENT_ID": "d",
        "HEADSCALE_OIDC_PROVIDERS_IN_ENV_CLIENT_SECRET_FILE": str(tmp_path / "s"),
        "HEADSCALE_OIDC_PROVIDERS_IN_ENV_TRUSTED_DOMAINS": "d.example e.example",
        "HEADSCALE_OIDC_PROVIDERS_IN_ENV_GROUPS_ALLOW": "ops",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    config = load(write(tmp_path, TWO), env)
    entra, other = config.oidc.providers["entra"], config.oidc.providers["in-env"]
    assert (entra.client_secret, entra.allowed_domains, entra.claims.email) == (
        "from-credential",
        ("c.example",),
        "mail",
    )
    assert (other.issuer, other.client_id, other.client_secret) == ("https://three.example", "d", "from-file")
    assert (other.trusted_domains, other.groups.allow) == (("d.example", "e.example"), ("ops",))
    assert not [warning for warning in config.warnings if "PROVIDERS" in warning]


@pytest.mark.parametrize(
    ("line", "doubts"),
    [
        ("", ["trusted_domains", "groups.allow"]),
        ("trusted_domains: [c.example]", ["groups.allow"]),
        ("allowed_domains: [c.example]", ["groups.allow"]),
        ("groups: {prefix: x-}", ["trusted_domains"]),
        ("groups: {rename: {a: b}}", ["trusted_domains"]),
        ("groups: {enabled: false}", ["trusted_domains"]),
        ("trusted_domains: [c.example], groups: {allow: [ops]}", []),
    ],
)
def test_a_further_provider_that_counts_for_nothing_is_warned_about(
    tmp_path: Path, line: str, doubts: list[str]
) -> None:
    text = f"""server_url: {URL}
oidc:
  issuer: https://one.example
  client_id: a
  client_secret: s
  providers:
    more: {{issuer: https://two.example, client_id: b, client_secret: s{", " + line if line else ""}}}
"""
    config = load(write(tmp_path, text), {})
    found = [one for one in config.warnings if "providers.more" in one]
    assert len(found) == len(doubts)
    assert all(any(f"providers.more.{name} is empty" in one for one in found) for name in doubts)


def test_the_old_switch_holds_for_all_providers(tmp_path: Path) -> None:
    only = TWO.replace("  issuer: https://one.example\n  client_id: a\n  client_secret: s\n", "")
    assert list(load(write(tmp_path, only.replace("oidc:", "oidc:\n  enabled: true")), {}).oidc.in_use()) == ["entra"]
    assert not load(write(tmp_path, TWO.replace("oidc:", "oidc:\n  enabled: false")), {}).oidc.in_use()


def test_providers_may_be_json_in_one_variable_and_their_secrets_in_others() -> None:
    env = {
        "HEADSCALE_SERVER_URL": URL,
        "HEADSCALE_OIDC_PROVIDERS": '{"a": {"issuer": "https://a.example", "client_id": "c", "scope": ["openid"]}}',
        "HEADSCALE_OIDC_PROVIDERS_A_CLIENT_SECRET": "s",
    }
    provider = load(None, env).oidc.providers["a"]
    assert (provider.issuer, provider.client_secret, provider.scope) == ("https://a.example", "s", ("openid",))
    with pytest.raises(ConfigError, match=r"HEADSCALE_OIDC_PROVIDERS: oidc\.providers: is not JSON"):
        load(None, {**env, "HEADSCALE_OIDC_PROVIDERS": "{"})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (TWO.replace("client_id: b", "client_ib: b"), "oidc.providers.entra.client_ib"),
        (TWO.replace("      client_id: b\n", ""), "oidc.providers.entra.client_id"),
        (TWO.replace("      issuer: https://two.example\n", ""), "oidc.providers.entra.issuer"),
        (TWO.replace("    entra:", "    Entra ID:"), "oidc.providers.Entra ID"),
        (TWO.replace("https://two.", "https://one.").replace("client_id: b", "client_id: a"), "client_id"),
        (TWO.replace("    entra:", "    entra: x\n    other:"), "oidc.providers.entra"),
    ],
)
def test_a_fault_of_a_further_provider_is_named_with_its_place(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {})
    assert any(
        problem.key.endswith(key) and problem.where.startswith(str(tmp_path)) for problem in caught.value.problems
    )


def test_every_key_of_a_provider_is_a_key_of_oidc() -> None:
    ours = {path for path, _ in keys()}
    assert {("oidc", *path) for path, _ in keys(ProviderConfig)} <= ours


@pytest.mark.parametrize(
    "issuer", ["idp.example", "https://", "https://idp.example:x", "https://[::1", "ftp://a.example"]
)
def test_an_issuer_that_is_no_address_is_refused(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(ConfigError, match=r"oidc\.issuer: is not an https:// URL"):
        from_file(tmp_path, {"oidc.issuer": issuer, "oidc.client_id": "c", "oidc.client_secret": "s"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"oidc.pkce.enabled": False}, "PKCE is sent all the same"),
        ({"oidc.pkce.method": "plain"}, "S256 is sent"),
        ({"oidc.allowed_groups": ["a"]}, "does not ask for groups"),
        ({"oidc.issuer": "https://your-smartlink.link.vaultys.org/api/oidc/x"}, "is the example of a guide"),
        ({"oidc.expiry": "1h", "node.expiry": "2h"}, "it holds for devices that sign in"),
    ],
)
def test_what_is_noticed_of_sign_in_is_said_once(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    flat = {"oidc.issuer": "https://idp.example", "oidc.client_id": "c", "oidc.client_secret": "s", **change}
    assert len([warning for warning in from_file(tmp_path, flat).warnings if said in warning]) == 1
