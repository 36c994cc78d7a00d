"""Values that Headscale takes are taken as it takes them, and reach clients only in a form that they can use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.shared.config import load
from tests.unit.config.reading import at, from_file

# what is written, the key that is read and its value, and what the warning says (None: there is none)
TAKEN: list[tuple[dict[str, Any], str, Any, str | None]] = [
    ({"prefixes.v4": "100.64.10.0/12"}, "prefixes.v4", "100.64.0.0/12", "has host bits — 100.64.0.0/12 is used"),
    ({"prefixes.v6": "fd7a:115c:a1e0::5/48"}, "prefixes.v6", "fd7a:115c:a1e0::/48", "has host bits"),
    ({"prefixes.v6": "FD7A:115C:A1E0:0::/48"}, "prefixes.v6", "fd7a:115c:a1e0::/48", None),
    ({"dns.nameservers.split": []}, "dns.nameservers.split", {}, None),
    ({"oidc.extra_params": []}, "oidc.extra_params", {}, None),
    ({"oidc": []}, "oidc.issuer", "", None),
    ({"logtail": ""}, "logtail.enabled", False, None),
    ({"derp.urls": {}}, "derp.urls", (), None),
    ({"derp.paths": [None]}, "derp.paths", (), None),
    ({"log.level": "INFO"}, "log.level", "info", None),
    ({"log.level": "warning"}, "log.level", "warn", None),
    ({"log.level": ""}, "log.level", "info", None),
    ({"log.level": 0}, "log.level", "debug", None),
    ({"log.level": "-1"}, "log.level", "trace", None),
    ({"log.level": 5}, "log.level", "panic", None),
    ({"logtail": False}, "logtail.enabled", False, "logtail is a section — write logtail.enabled: false"),
    ({"auto_update": True}, "auto_update.enabled", True, "auto_update is a section — write auto_update.enabled: true"),
    (
        {"derp.server": False, "derp.urls": ["https://relays.example/map"]}, "derp.server.enabled", False,
        "derp.server is a section — write derp.server.enabled: false",
    ),
    ({"oidc": False}, "oidc.issuer", "", "oidc is a section, and false for it is ignored"),
    ({"dns.nameservers": ["1.1.1.1"]}, "dns.nameservers.global_", ("1.1.1.1",), "is now dns.nameservers.global"),
    ({"dns.nameservers": "1.1.1.1"}, "dns.nameservers.global_", ("1.1.1.1",), "is now dns.nameservers.global"),
    ({"dns.nameservers": []}, "dns.nameservers.global_", (), None),
    (
        {"dns_config.nameservers": {"split": {"Corp": ["10.0.0.1"]}}}, "dns.nameservers.split",
        {"corp": ("10.0.0.1",)}, "dns_config.nameservers is now dns.nameservers",
    ),
    ({"log.format": "JSON"}, "log.format", "json", None),
    ({"policy.mode": "Database"}, "policy.mode", "database", None),
    ({"prefixes.allocation": "Random"}, "prefixes.allocation", "random", None),
    ({"database.type": "SQLite3"}, "database.type", "sqlite", None),
    ({"oidc.pkce.method": "s256"}, "oidc.pkce.method", "S256", None),
    ({"Log.Level": "debug"}, "log.level", "debug", None),
    ({"DNS.Magic_DNS": False}, "dns.magic_dns", False, None),
    ({"database.postgres.port": ""}, "database.postgres.port", 5432, None),
    ({"node.expiry": "+1.5h"}, "node.expiry.seconds", 5400, None),
    ({"listen_addr": ":https"}, "listen_addr", ":443", "answers plain http on port 443"),
    ({"grpc_listen_addr": "a:HTTP"}, "grpc_listen_addr", "a:80", None),
    ({"dns.base_domain": "Tail.Bücher.example."}, "dns.base_domain", "tail.xn--bcher-kva.example", None),
    ({"dns.search_domains": ["Corp.Example", "corp.example."]}, "dns.search_domains", ("corp.example",), None),
    ({"dns.search_domains": ["a b"]}, "dns.search_domains", (), '"a b", which is not a domain name — it is left out'),
    (
        {"dns.nameservers.split": {"Foo.Example": ["100.64.9.9"], "foo.example.": ["100.64.9.8"]}},
        "dns.nameservers.split", {"foo.example": ("100.64.9.9", "100.64.9.8")}, None,
    ),
    ({"dns.nameservers.split": {"*.a": ["1.1.1.1"]}}, "dns.nameservers.split", {}, "has a wildcard"),
    (
        {"dns.nameservers.split": {"a": ["tls://1.1.1.1"]}}, "dns.nameservers.split", {},
        'a: "tls://1.1.1.1", which is a tls:// address, which clients do not support — it is left out',
    ),
    ({"dns.nameservers.split": {"a": []}}, "dns.nameservers.split", {"a": ()}, None),
    (
        {"dns.nameservers.global": ["dns.example.com", "9.9.9.9"]}, "dns.nameservers.global", ("9.9.9.9",),
        '"dns.example.com", which is neither an IP address nor an https:// URL',
    ),
    (
        {"dns.nameservers.global": ["tls://1.1.1.1"], "dns.override_local_dns": True}, "dns.override_local_dns", False,
        "has no name server that clients can use — clients keep the ones that they have",
    ),
    (
        {"dns.extra_records": [{"name": "*.apps.example", "type": "A", "value": "100.64.0.9"}]}, "dns.extra_records",
        (), 'has a record 1 ("*.apps.example") that has a name that has a wildcard, which clients do not resolve',
    ),
    ({"dns.extra_records": [{"name": "a", "type": "CNAME", "value": "b"}]}, "dns.extra_records", (), "of type CNAME"),
    ({"server_url": "https://Bücher.example:8443"}, "server_url", "https://xn--bcher-kva.example:8443", None),
    ({"derp.server.hostname": "Relay.Example."}, "derp.server.hostname", "relay.example", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("flat", "key", "value", "said"), TAKEN, ids=[f"{next(iter(flat.items()))}" for flat, *_ in TAKEN]
)
def test_what_headscale_takes_is_taken(
    tmp_path: Path, flat: dict[str, Any], key: str, value: Any, said: str | None
) -> None:
    config = from_file(tmp_path, flat)
    assert at(config, key) == value
    assert not config.warnings if said is None else any(said in warning for warning in config.warnings)


def test_records_are_written_as_clients_compare_them(tmp_path: Path) -> None:
    records = [{"name": "Grafana.Lan", "type": "a", "value": "2001:DB8::1"}]
    (record,) = from_file(tmp_path, {"dns.extra_records": records}).dns.extra_records
    assert (record.name, record.type, record.value) == ("grafana.lan", "AAAA", "2001:db8::1")


@pytest.mark.parametrize(
    "old",
    ["dns_config: {nameservers: [], base_domain: ''}", "acl_policy_path: ''", "ip_prefixes: []", "db_path: ''"],
)
def test_an_empty_old_key_beside_the_new_one_says_nothing(tmp_path: Path, old: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "server_url: https://a.example\nprefixes: {v4: 100.64.0.0/10}\npolicy: {path: /p}\n"
        "dns: {base_domain: b.example, nameservers: {global: [1.1.1.1]}}\n"
        f"database: {{sqlite: {{path: /d}}}}\n{old}\n"
    )
    config = load(file, {})
    assert config.dns.nameservers.global_ == ("1.1.1.1",)
    assert str(config.database.sqlite.path) == "/d"


def test_of_several_documents_the_first_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("---\nserver_url: https://a.example\n---\nserver_url: https://b.example\n")
    assert load(file, {}).server_url == "https://a.example"


def test_merged_mappings_are_read_and_bombs_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("x: &x {level: debug, format: json}\nserver_url: https://a.example\nlog: {level: warn, <<: *x}\n")
    config = load(file, {})
    assert (config.log.level, config.log.format) == ("warn", "json")
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    for text in (f"a0: &a0 [x]\n{layers}\n", "a: &a [*a]\n", "a: " + "[" * 200 + "]" * 200):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"too large or nested too deeply|cannot be read"):
            load(file, {})
