"""The configuration: Headscale's files, the guide's file, the environment, and what is wrong in them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from services.shared.config import Config, ConfigError, load, load_client
from services.shared.config.environment import keys, variable

SMALL = "server_url: http://127.0.0.1:8080\n"

GUIDE = """
server_url: https://headscale.example.com
listen_addr: 0.0.0.0:8080
metrics_listen_addr: 0.0.0.0:9090
db_type: sqlite3
db_path: /var/lib/headscale/db.sqlite
oidc:
  enabled: true
  issuer: "https://your-smartlink.link.vaultys.org/api/oidc/app"
  client_id: "headscale-xxxxxx"
  client_secret: "secret-xxxxxx"
  scope: [openid, profile, email, groups]
  claims:
    email: email
    name: name
    groups: groups
  allowed_domains:
    - example.com
  allowed_groups: [admins]
  auto_create_users: true
  expiry: 180d
  use_expiry_from_token: false
ip_prefixes:
  - 100.64.0.0/10
  - fd7a:115c:a1e0::/48
dns_config:
  nameservers:
    - 1.1.1.1
  domains: []
  magic_dns: true
  base_domain: example.com
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def problems_of(folder: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), env or {})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_a_server_url_is_enough(tmp_path: Path) -> None:
    config = load(write(tmp_path, SMALL + f"state_dir: {tmp_path}/state\n"), {})
    assert config.noise.private_key_path == tmp_path / "state/noise_private.key"
    assert config.database.sqlite.path == tmp_path / "state/db.sqlite"
    assert config.unix_socket == tmp_path / "state/headscale.sock"
    assert config.prefixes.v4 == "100.64.0.0/10"
    assert config.derp.server.enabled
    assert config.derp.server.hostname == "127.0.0.1"
    assert config.dns.base_domain == "tailnet.internal"
    assert config.warnings == ()


def test_a_section_that_is_given_in_part_keeps_its_other_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, SMALL + "services:\n  registry:\n    listen_addr: 0.0.0.0:50051\n"), {})
    assert config.services.registry.addresses == ("127.0.0.1:50051",)
    assert config.services.policy == Config().services.policy


def test_the_file_of_the_guide_starts(tmp_path: Path) -> None:
    config = load(write(tmp_path, GUIDE), {})
    assert config.database.type == "sqlite"
    assert config.database.sqlite.path == Path("/var/lib/headscale/db.sqlite")
    assert config.prefixes.v6 == "fd7a:115c:a1e0::/48"
    assert config.dns.nameservers.global_ == ("1.1.1.1",)
    assert config.dns.override_local_dns is True
    assert config.dns.base_domain == "example.com"
    assert config.oidc.expiry == timedelta(days=180)
    assert config.oidc.allowed_groups == ("admins",)
    assert config.noise.private_key_path == Path("/var/lib/headscale/noise_private.key")
    lines = "\n".join(config.warnings)
    assert "db_type is now database.type" in lines
    assert "ip_prefixes is now prefixes.v4 and prefixes.v6" in lines
    assert "contains the server's own name" in lines
    assert len(config.warnings) == len(set(config.warnings))


def test_every_wrong_line_is_named_at_once(tmp_path: Path) -> None:
    text = SMALL + "gateway: {wokers: 1}\nlog:\n  level: loud\nnode:\n  expiry: 90\ndns:\n  magic_dns: maybe\n"
    assert problems_of(tmp_path, text) == [
        "config.yaml:4: log.level: is not a known value — "
        "write one of panic, fatal, error, warn, info, debug, trace, disabled",
        "config.yaml:6: node.expiry: is not a duration — write a number with a unit, as in 90s, 3h or 180d",
        "config.yaml:8: dns.magic_dns: is neither true nor false — write true or false",
        "config.yaml:2: gateway.wokers: no such key — did you mean `gateway.workers`?",
    ]


def test_lost_indentation_is_recognised(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, SMALL + "oidc:\nissuer: https://idp.example\n")
    assert problem == (
        "config.yaml:3: issuer: no such key — if it belongs to `oidc`, whose section is empty, indent it below that"
    )


def test_the_guide_as_it_is_printed_is_told_what_is_wrong_with_it(tmp_path: Path) -> None:
    flat = "\n".join(line.strip() for line in GUIDE.splitlines())
    lines = problems_of(tmp_path, flat)
    assert any("issuer: no such key" in line and "indent it below" in line and "`oidc`" in line for line in lines)
    assert any("nameservers: no such key" in line and "`dns_config`" in line for line in lines)


def test_a_key_that_says_the_same_twice_is_no_fault(tmp_path: Path) -> None:
    text = SMALL + "derp:\n  server:\n    ipv4: 192.0.2.1\n    region_id: 900\n    ipv4: 192.0.2.1\n"
    assert load(write(tmp_path, text), {}).derp.server.ipv4 == "192.0.2.1"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server_url: headscale.example.com\n", "server_url"),
        ("listen_addr: 127.0.0.1:8080\n", "server_url"),
        (SMALL + "listen_addr: '8080'\n", "listen_addr"),
        (SMALL + "database:\n  type: oracle\n", "database.type"),
        (SMALL + "oidc:\n  issuer: https://idp.example\n", "oidc.client_id"),
        (SMALL + "oidc:\n  enabled: true\n", "oidc.enabled"),
        (SMALL + "oidc: yes\n", "oidc"),
        (SMALL + "unix_socket_permission: '0999'\n", "unix_socket_permission"),
        (SMALL + "db_type: sqlite3\ndatabase:\n  type: postgres\n", "db_type"),
        (SMALL + "listen_addr: a:1\nlisten_addr: b:2\n", "listen_addr"),
        ("- a\n", ""),
        ("a: [\n", ""),
        ("\ta: b\n", ""),
    ],
)
def test_what_cannot_be_is_refused_with_place_and_remedy(tmp_path: Path, text: str, key: str) -> None:
    problems = problems_of(tmp_path, text)
    assert f": {key}: " in problems[0] if key else re.match(r"config.yaml:\d+: (is not YAML: )?[^:]+ — ", problems[0])
    assert problems[0].startswith("config.yaml")
    assert all(" — " in problem for problem in problems)


def test_variables_win_over_the_file_and_know_lists_and_secret_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    config = load(
        write(tmp_path, SMALL + "log:\n  level: warn\n"),
        {
            "HEADSCALE_LOG_LEVEL": "debug",
            "HEADSCALE_OIDC_ISSUER": "https://idp.example",
            "HEADSCALE_OIDC_CLIENT_ID": "id",
            "HEADSCALE_OIDC_CLIENT_SECRET_FILE": str(secret),
            "HEADSCALE_OIDC_ALLOWED_DOMAINS": "a.com, b.com c.com",
            "HEADSCALE_OIDC_ALLOWED_GROUPS": '["with space", "b"]',
            "HEADSCALE_OIDC_EXTRA_PARAMS": "prompt=login",
            "HEADSCALE_DNS_MAGIC_DNS": "",
            "HEADSCALE_DB_PATH": "/data/db.sqlite",
            "HEADSCALE_DATABASE_POSTGRES_PASS": "123",
            "HEADSCALE_PORT_8080_TCP": "tcp://10.0.0.1",
            "HEADSCALE_LISTEN_ADR": "x",
            "OTHER": "x",
        },
    )
    assert config.log.level == "debug"
    assert config.oidc.client_secret == "s3cret"
    assert config.oidc.allowed_domains == ("a.com", "b.com", "c.com")
    assert config.oidc.allowed_groups == ("with space", "b")
    assert config.oidc.extra_params == {"prompt": "login"}
    assert config.database.sqlite.path == Path("/data/db.sqlite")
    assert config.database.postgres.password == "123"
    assert "environment HEADSCALE_LISTEN_ADR: no such key — did you mean HEADSCALE_LISTEN_ADDR?" in config.warnings
    assert not any("PORT" in warning for warning in config.warnings)
    assert "s3cret" not in repr(config)


def test_the_environment_alone_is_enough() -> None:
    assert load(None, {"HEADSCALE_SERVER_URL": "https://a.example"}).server_url == "https://a.example"


def test_oidc_can_be_switched_off(tmp_path: Path) -> None:
    config = load(write(tmp_path, SMALL + "oidc:\n  enabled: false\n  issuer: https://idp.example\n"), {})
    assert config.oidc.issuer == ""


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, SMALL + "policy:\n  path: ./acl.hujson\nderp:\n  paths: [derp.yaml]\n"), {})
    assert config.policy.path == tmp_path / "acl.hujson"
    assert config.derp.paths == (tmp_path / "derp.yaml",)
    assert not config.derp.server.enabled


def test_null_and_empty_sections_are_as_if_absent(tmp_path: Path) -> None:
    config = load(write(tmp_path, SMALL + "policy:\n  path: ''\ndns:\n  nameservers:\nderp:\n  paths: []\n"), {})
    assert config.policy.path is None


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("", "database"),
        ("policy: {path: ''}", "database"),
        ("policy: {path: ./acl.hujson}", "file"),
        ("acl_policy_path: ./acl.hujson", "file"),
        ("policy: {mode: file}", "file"),
        ("policy: {mode: database, path: ./acl.hujson}", "database"),
    ],
)
def test_a_policy_lives_in_the_database_where_no_file_is_named(tmp_path: Path, policy: str, mode: str) -> None:
    assert load(write(tmp_path, f"{SMALL}{policy}\n"), {}).policy.mode == mode


def test_a_json_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"server_url": "http://a.b:1", "unix_socket_permission": "0o700"}')
    assert load(path, {}).unix_socket_permission == 0o700


def test_every_key_has_its_own_variable() -> None:
    names = [variable(path) for path, _secret in keys()]
    assert len(names) == len(set(names))
    assert "HEADSCALE_DATABASE_POSTGRES_PASS" in names


def test_a_command_needs_only_its_own_part(tmp_path: Path) -> None:
    config = load_client(write(tmp_path, "nonsense: 1\ncli:\n  address: a:1\n"), {"HEADSCALE_CLI_API_KEY": "k"})
    assert (config.cli.address, config.cli.api_key) == ("a:1", "k")
    with pytest.raises(ConfigError):
        load_client(write(tmp_path, "cli:\n  timeout: soon\n"), {})


def test_the_defaults_stand_alone() -> None:
    assert Config().services.registry.addresses == ("127.0.0.1:50051",)


@pytest.mark.parametrize(
    ("written", "mode"),
    [("0", "disable"), ("F", "disable"), ("False", "disable"), ("1", "require"), ("T", "require"),
     ("'true'", "require"), ("Require", "require"), ("VERIFY-FULL", "verify-full")],
)  # fmt: skip
def test_the_sslmode_is_written_as_headscale_reads_it(tmp_path: Path, written: str, mode: str) -> None:
    section = f"database:\n  type: postgres\n  postgres: {{name: x, host: localhost, ssl: {written}}}\n"
    assert load(write(tmp_path, SMALL + section), {}).database.postgres.ssl == mode


def test_a_key_in_an_item_of_a_list_is_named_with_its_list(tmp_path: Path) -> None:
    records = "dns:\n  base_domain: a.example\n  extra_records:\n  - {name: b.example, value: 192.0.2.1, ttl: 5}\n"
    warnings = load(write(tmp_path, SMALL + records), {}).warnings
    assert any(": dns.extra_records.ttl is not a key" in warning for warning in warnings), warnings


def test_an_unknown_variable_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    env = {"HEADSCALE_GATEWAY_WORKRS": "2", "HEADSCALE_WEATHER": "x"}
    warnings = load(write(tmp_path, SMALL), env).warnings
    assert "environment HEADSCALE_GATEWAY_WORKRS: no such key — did you mean HEADSCALE_GATEWAY_WORKERS?" in warnings
    assert "environment HEADSCALE_WEATHER: no such key — remove it" in warnings
