"""Every key that Headscale has or had, and every key of the guide: taken, put in its place, and said when it is old."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.shared.config import ConfigError, load
from services.shared.config.environment import keys, variable
from services.shared.config.legacy import LEGACY_KEYS
from tests.unit.config.reading import URL, at, from_file

HOUR = timedelta(hours=1)
# key of today's Headscale: what is written, what is read
TODAY: dict[str, tuple[Any, Any]] = {
    "server_url": ("https://a.example", "https://a.example"),
    "listen_addr": ("0.0.0.0:1", "0.0.0.0:1"),
    "metrics_listen_addr": ("", ""),
    "trusted_proxies": (["10.0.0.1"], ("10.0.0.1",)),
    "noise.private_key_path": ("/k", Path("/k")),
    "prefixes.v4": ("100.64.0.0/24", "100.64.0.0/24"),
    "prefixes.v6": ("fd7a:115c:a1e0::/64", "fd7a:115c:a1e0::/64"),
    "prefixes.allocation": ("random", "random"),
    "derp.server.enabled": (True, True),
    "derp.server.region_id": (900, 900),
    "derp.server.region_code": ("c", "c"),
    "derp.server.region_name": ("n", "n"),
    "derp.server.verify_clients": (False, False),
    "derp.server.stun_listen_addr": ("0.0.0.0:1", "0.0.0.0:1"),
    "derp.server.private_key_path": ("/d", Path("/d")),
    "derp.server.automatically_add_embedded_derp_region": (False, False),
    "derp.server.ipv4": ("192.0.2.1", "192.0.2.1"),
    "derp.server.ipv6": ("2001:db8::1", "2001:db8::1"),
    "derp.server.stun.enabled": (False, False),
    "derp.urls": (["https://x/derp"], ("https://x/derp",)),
    "derp.paths": (["/p"], (Path("/p"),)),
    "derp.auto_update_enabled": (True, True),
    "derp.update_frequency": ("1h", HOUR),
    "disable_check_updates": (True, True),
    "node.expiry": ("180d", timedelta(days=180)),
    "node.ephemeral.inactivity_timeout": ("1h", HOUR),
    "node.routes.ha.probe_interval": ("20s", timedelta(seconds=20)),
    "node.routes.ha.probe_timeout": ("6s", timedelta(seconds=6)),
    "preauth_keys.revoked_retention": ("1h", HOUR),
    "database.type": ("sqlite3", "sqlite"),
    "database.debug": (True, True),
    "database.gorm.prepare_stmt": (False, False),
    "database.gorm.parameterized_queries": (False, False),
    "database.gorm.skip_err_record_not_found": (False, False),
    "database.gorm.slow_threshold": (5, 5),
    "database.sqlite.path": ("/db", Path("/db")),
    "database.sqlite.write_ahead_log": (False, False),
    "database.sqlite.wal_autocheckpoint": (5, 5),
    "database.postgres.host": ("h", "h"),
    "database.postgres.port": (1, 1),
    "database.postgres.name": ("n", "n"),
    "database.postgres.user": ("u", "u"),
    "database.postgres.pass": ("p", "p"),
    "database.postgres.ssl": (True, "require"),
    "database.postgres.max_open_conns": (5, 5),
    "database.postgres.max_idle_conns": (5, 5),
    "database.postgres.conn_max_idle_time_secs": (5, 5),
    "acme_url": ("https://acme", "https://acme"),
    "acme_email": ("a@b", "a@b"),
    "tls_letsencrypt_hostname": ("a.example", "a.example"),
    "tls_letsencrypt_cache_dir": ("/c", Path("/c")),
    "tls_letsencrypt_challenge_type": ("HTTP-01", "HTTP-01"),
    "tls_letsencrypt_listen": (":80", ":80"),
    "tls_cert_path": ("/c", Path("/c")),
    "tls_key_path": ("/k", Path("/k")),
    "log.level": ("trace", "trace"),
    "log.format": ("json", "json"),
    "policy.mode": ("database", "database"),
    "policy.path": ("/p", Path("/p")),
    "dns.magic_dns": (False, False),
    "dns.base_domain": ("nodes.example", "nodes.example"),
    "dns.override_local_dns": (False, False),
    "dns.nameservers.global": (["1.1.1.1"], ("1.1.1.1",)),
    "dns.nameservers.split": ({"corp": ["10.0.0.1"]}, {"corp": ("10.0.0.1",)}),
    "dns.search_domains": (["corp"], ("corp",)),
    "dns.extra_records_path": ("/r", Path("/r")),
    "unix_socket": ("/s", Path("/s")),
    "unix_socket_permission": ("0o700", 0o700),
    "oidc.only_start_if_oidc_is_available": (False, False),
    "oidc.issuer": ("https://idp.example", "https://idp.example"),
    "oidc.client_id": ("c", "c"),
    "oidc.client_secret": ("s", "s"),
    "oidc.client_secret_path": ("/s", Path("/s")),
    "oidc.scope": (["openid", "groups"], ("openid", "groups")),
    "oidc.email_verified_required": (False, False),
    "oidc.extra_params": ({"prompt": "login"}, {"prompt": "login"}),
    "oidc.allowed_domains": (["a.example"], ("a.example",)),
    "oidc.allowed_users": (["a@a.example"], ("a@a.example",)),
    "oidc.allowed_groups": (["/a b"], ("/a b",)),
    "oidc.use_expiry_from_token": (True, True),
    "oidc.pkce.enabled": (False, False),
    "oidc.pkce.method": ("plain", "plain"),
    "logtail.enabled": (True, True),
    "taildrop.enabled": (False, False),
    "auto_update.enabled": (True, True),
    "cli.address": ("a:1", "a:1"),
    "cli.api_key": ("k", "k"),
    "cli.timeout": ("1h", HOUR),
    "cli.insecure": (True, True),
    "tuning.notifier_send_timeout": ("1s", timedelta(seconds=1)),
    "tuning.batch_change_delay": ("1s", timedelta(seconds=1)),
    "tuning.node_mapsession_buffered_chan_size": (5, 5),
    "tuning.batcher_workers": (5, 5),
    "tuning.register_cache_expiration": ("1h", HOUR),
    "tuning.register_cache_max_entries": (5, 5),
    "tuning.node_store_batch_size": (5, 5),
    "tuning.node_store_batch_timeout": ("1s", timedelta(seconds=1)),
    "grpc_listen_addr": (":1", ":1"),
    "grpc_allow_insecure": (True, True),
    # the guide's own
    "oidc.claims.email": ("mail", "mail"),
    "oidc.claims.name": ("full", "full"),
    "oidc.claims.groups": ("realm.roles", "realm.roles"),
    "oidc.auto_create_users": (False, False),
    "oidc.expiry": ("180d", timedelta(days=180)),
    "oidc.create_namespace_for_user": (False, False),
    "oidc.namespace_format": ("{email}", "{email}"),
    "oidc.namespace_claim": ("department", "department"),
    "randomize_client_port": (True, True),
}
RECORDS = [{"name": "a.b", "type": "A", "value": "1.2.3.4"}]
# old key: what is written, where it is now, what is read there, what the line must say
OLD: dict[str, tuple[Any, str, Any, str]] = {
    "db_type": ("sqlite3", "database.type", "sqlite", "is now database.type"),
    "db_path": ("/db", "database.sqlite.path", Path("/db"), "is now database.sqlite.path"),
    "db_host": ("h", "database.postgres.host", "h", "is now database.postgres.host"),
    "db_port": (1, "database.postgres.port", 1, "is now database.postgres.port"),
    "db_name": ("n", "database.postgres.name", "n", "is now database.postgres.name"),
    "db_user": ("u", "database.postgres.user", "u", "is now database.postgres.user"),
    "db_pass": ("p", "database.postgres.password", "p", "is now database.postgres.pass"),
    "db_ssl": (False, "database.postgres.ssl", "disable", "is now database.postgres.ssl"),
    "ip_prefixes": (["100.64.0.0/24"], "prefixes.v4", "100.64.0.0/24", "is now prefixes.v4 and prefixes.v6"),
    "ip_prefix": ("100.64.0.0/24", "prefixes.v4", "100.64.0.0/24", "is now prefixes.v4 and prefixes.v6"),
    "derp_map_path": ("/d.yaml", "derp.paths", (Path("/d.yaml"),), "is now derp.paths"),
    "derp.server.urls": (["https://x/d"], "derp.urls", ("https://x/d",), "is now derp.urls"),
    "derp.server.paths": (["/d.yaml"], "derp.paths", (Path("/d.yaml"),), "is now derp.paths"),
    "dns.split": (
        {"Corp": ["10.0.0.1"]}, "dns.nameservers.split", {"corp": ("10.0.0.1",)}, "is now dns.nameservers.split",
    ),
    "dns.restricted_nameservers": (
        {"Corp": ["10.0.0.1"]}, "dns.nameservers.split", {"corp": ("10.0.0.1",)}, "is now dns.nameservers.split",
    ),
    "dns.domains": (["corp"], "dns.search_domains", ("corp",), "is now dns.search_domains"),
    "dns_config.search_domains": (["corp"], "dns.search_domains", ("corp",), "is now dns.search_domains"),
    "tls_client_auth_mode": ("relaxed", "", None, "is ignored"),
    "tuning.node_mapsession_changed_buffer_size": (10, "", None, "is ignored"),
    "private_key_path": ("/p", "derp.server.private_key_path", Path("/p"), "is now derp.server.private_key_path"),
    "node_update_check_interval": ("10s", "", None, "is ignored"),
    "ephemeral_node_inactivity_timeout": (
        "1h", "node.ephemeral.inactivity_timeout", HOUR, "is now node.ephemeral.inactivity_timeout",
    ),
    "acl_policy_path": ("/p", "policy.path", Path("/p"), "is now policy.path"),
    "log_level": ("warn", "log.level", "warn", "is now log.level"),
    "dns_config.nameservers": (["1.1.1.1"], "dns.nameservers.global_", ("1.1.1.1",), "is now dns.nameservers.global"),
    "dns_config.restricted_nameservers": (
        {"corp": ["10.0.0.1"]}, "dns.nameservers.split", {"corp": ("10.0.0.1",)}, "is now dns.nameservers.split",
    ),
    "dns_config.domains": (["corp"], "dns.search_domains", ("corp",), "is now dns.search_domains"),
    "dns_config.magic_dns": (False, "dns.magic_dns", False, "is now dns.magic_dns"),
    "dns_config.base_domain": ("n.example", "dns.base_domain", "n.example", "is now dns.base_domain"),
    "dns_config.override_local_dns": (False, "dns.override_local_dns", False, "is now dns.override_local_dns"),
    "dns_config.extra_records": (RECORDS, "dns.extra_records", None, "is now dns.extra_records"),
    "dns_config.use_username_in_magic_dns": (True, "", None, "is ignored"),
    "dns.use_username_in_magic_dns": (True, "", None, "is ignored"),
    "oidc.strip_email_domain": (True, "oidc.namespace_format", "{email_local}", "is now oidc.namespace_format"),
    "oidc.map_legacy_users": (True, "", None, "is ignored"),
    "oidc.domain_map": ({"a": "b"}, "", None, "is ignored"),
    "oidc.enabled": (False, "oidc.issuer", "", "turns sign-in off"),
    "oidc.expiry": ("1h", "oidc.expiry", HOUR, "is better written as node.expiry"),
    "randomize_client_port": (True, "randomize_client_port", True, "is better written as `randomizeClientPort`"),
}  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {
    "tls_cert_path": {"tls_key_path": "/k"},
    "tls_key_path": {"tls_cert_path": "/c"},
    "oidc.issuer": {"oidc.client_id": "c", "oidc.client_secret": "s"},
}
"""What a key cannot stand without."""


def text_of(value: Any) -> str:
    """As one writes it in a variable."""
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("key", TODAY)
def test_a_key_of_today_is_read_from_the_file(tmp_path: Path, key: str) -> None:
    written, read = TODAY[key]
    assert at(from_file(tmp_path, {**NEEDED.get(key, {}), key: written}), key) == read


@pytest.mark.parametrize("key", [key for key, (written, _) in TODAY.items() if written != ""])
def test_a_key_of_today_is_read_from_its_variable(key: str) -> None:
    written, read = TODAY[key]
    flat = {"server_url": URL, **NEEDED.get(key, {}), key: written}
    config = load(None, {variable(tuple(name.split("."))): text_of(value) for name, value in flat.items()})
    assert at(config, key) == read


@pytest.mark.parametrize("key", OLD)
def test_an_old_key_is_put_in_its_place_with_one_line(tmp_path: Path, key: str) -> None:
    written, new, read, line = OLD[key]
    config = from_file(tmp_path, {key: written})
    assert len([warning for warning in config.warnings if f": {key} {line}" in warning]) == 1
    assert not new or read is None or at(config, new) == read
    assert key != "dns_config.extra_records" or at(config, new)[0].value == "1.2.3.4"


@pytest.mark.parametrize("key", OLD)
def test_the_variable_of_an_old_key_does_not_stop_the_start(key: str) -> None:
    written, new, read, _ = OLD[key]
    config = load(None, {"HEADSCALE_SERVER_URL": URL, variable(tuple(key.split("."))): text_of(written)})
    assert not new or read is None or at(config, new) == read


def test_the_tables_above_lack_no_key_of_ours() -> None:
    ours = {".".join(path) for path, _ in keys()}
    assert {key for key in TODAY if key not in ours} == set()
    assert {".".join(path) for path in LEGACY_KEYS} - set(OLD) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"db_path": "/a"}, {"database.sqlite.path": "/b"}),
        ({"acl_policy_path": "/a"}, {"policy.path": "/b"}),
        ({"dns_config.base_domain": "a.example"}, {"dns.base_domain": "b.example"}),
        ({"ip_prefixes": ["100.64.0.0/24"]}, {"prefixes.v4": "100.64.0.0/16"}),
        ({"ephemeral_node_inactivity_timeout": "1h"}, {"node.ephemeral.inactivity_timeout": "2h"}),
    ],
)
def test_old_and_new_that_say_different_things_are_refused(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"contradicts .* — keep only the newer key"):
        from_file(tmp_path, {**old, **new})
    ((key, _),) = new.items()
    same = from_file(tmp_path, {**old, key: next(iter(old.values())) if key != "prefixes.v4" else "100.64.0.0/24"})
    assert any(next(iter(old)) in warning for warning in same.warnings)


@pytest.mark.parametrize(
    ("oidc", "template"),
    [
        ({"strip_email_domain": True}, "{email_local}"),
        ({"strip_email_domain": "False"}, "{email}"),
        ({"strip_email_domain": True, "namespace_format": "{sub}"}, "{sub}"),
        ({"strip_email_domain": True, "namespace_format": ""}, "{email_local}"),
        ({"strip_email_domain": None}, ""),
        ({"strip_email_domain": ""}, ""),
    ],
)
def test_users_are_named_as_the_old_key_says(tmp_path: Path, oidc: dict[str, Any], template: str) -> None:
    config = from_file(tmp_path, {f"oidc.{key}": value for key, value in oidc.items()})
    assert config.oidc.namespace_format == template
    assert len(config.warnings) == (oidc["strip_email_domain"] not in (None, ""))


def test_an_old_key_that_is_no_truth_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"oidc.strip_email_domain: is neither true nor false"):
        from_file(tmp_path, {"oidc.strip_email_domain": "maybe"})


def test_a_variable_that_an_old_key_shares_with_one_of_today_is_not_called_old() -> None:
    assert load(None, {"HEADSCALE_SERVER_URL": URL, "HEADSCALE_LOG_LEVEL": "warn"}).warnings == ()
