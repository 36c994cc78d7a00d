"""The configuration of each Headscale release means what it meant: its keys are honoured, or named in a warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.shared.config import Config, load
from services.shared.config.environment import keys
from services.shared.config.ignored_keys import IDLE, QUIET
from tests.unit.config.reading import at

FILES = sorted((Path(__file__).parent / "releases").glob("*.yaml"))
TODAY = {".".join(path) for path, _ in keys()}
MOVED = {
    "ip_prefixes": ("prefixes.v4", "prefixes.v6"),
    "db_type": ("database.type",),
    "db_path": ("database.sqlite.path",),
    "db_ssl": ("database.postgres.ssl",),
    **{f"db_{name}": (f"database.postgres.{name}",) for name in ("host", "port", "name", "user", "pass")},
    "ephemeral_node_inactivity_timeout": ("node.ephemeral.inactivity_timeout",),
    "acl_policy_path": ("policy.path",),
    "private_key_path": ("derp.server.private_key_path",),
    "oidc.strip_email_domain": ("oidc.namespace_format",),
    "dns_config.nameservers": ("dns.nameservers.global",),
    "dns_config.restricted_nameservers": ("dns.nameservers.split",),
    "dns_config.domains": ("dns.search_domains",),
    **{f"dns_config.{name}": (f"dns.{name}",) for name in (
        "magic_dns", "base_domain", "override_local_dns", "extra_records")},
}  # fmt: skip
BOTH = ("oidc.expiry", "randomize_client_port")
"""Old keys that keep their meaning, each with a warning."""
WITHOUT_EFFECT = {
    "node_update_check_interval", "oidc.map_legacy_users", "dns.use_username_in_magic_dns",
}  # fmt: skip
"""Each has a warning of its own."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each key that is written, mappings of the operator's own names whole."""
    if isinstance(value, dict) and path not in TODAY and path not in MOVED:
        for name, below in value.items():
            yield from leaves(below, f"{path}.{name}".removeprefix("."))
    else:
        yield path, value


def plain(value: Any) -> Any:
    """A value in the form in which files write it."""
    match value:
        case bool() | int() | float() | None:
            return value
        case tuple() | list():
            return [plain(one) for one in value]
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case Path():
            return "" if value == Path() else str(value)
    return value


CASES = [(file, key, value) for file in FILES for key, value in leaves(yaml.safe_load(file.read_text()))]


@pytest.fixture(scope="module")
def read() -> dict[Path, Config]:
    return {file: load(file, {}) for file in FILES}


def test_there_is_a_file_of_each_release() -> None:
    releases = {file.stem.partition("-")[0] for file in FILES}
    assert releases == {"0.22.3", "0.23.0", "0.24.3", "0.26.1", "0.27.1", "0.28.0", "0.29.2", "head"}


@pytest.mark.parametrize(("file", "key", "value"), CASES, ids=[f"{file.stem} {key}" for file, key, _ in CASES])
def test_each_key_is_honoured_or_named_in_a_warning(read: dict[Path, Config], file: Path, key: str, value: Any) -> None:
    config = read[file]
    named = [warning for warning in config.warnings if f": {key} " in warning]
    if key in WITHOUT_EFFECT:
        assert value in (False, None, "") or len(named) == 1
        return
    places = MOVED.get(key, (key,))
    assert set(places) <= TODAY, f"{key} is no key"
    assert (len(named) == 1) is (key in MOVED) or key in BOTH
    if places[0] in IDLE or places[0] in QUIET:
        return
    read_values = [plain(at(config, place)) for place in places]
    written = plain(value)
    if key == "ip_prefixes":
        assert sorted(read_values) == sorted(written)
    elif isinstance(written, str | int) and not isinstance(written, bool) and not isinstance(read_values[0], str | int):
        assert read_values[0] is not None or written in ("", 0)  # durations and modes, which have tests of their own
    elif key.endswith("extra_records"):
        assert [record["name"] for record in written] == [record.name for record in at(config, places[0])]
    else:
        same = {"sqlite3": "sqlite", False: "disable", True: "{email_local}", "": None, ":http": ":80", "0770": 0o770}
        assert read_values[0] in (written, same.get(written) if not isinstance(written, list | dict) else None), key
