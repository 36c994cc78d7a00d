"""A complete example configuration, made from the model and the page that explains every key. Reads no configuration.

The page is docs/configuration.md; a wheel has a copy of it beside this module. Keys that a new installation sets are
written as they are, all others as comments with their defaults: a line `#key: value` becomes active without its `#`,
once the lines of its sections are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.shared.config.model import Config
from services.shared.config.showing import shown

PAGE = "configuration.md"
_HERE = Path(__file__)
_ROW = re.compile(r"\| `(?P<key>[a-z0-9_.]+)` \|[^|]*\| (?P<meaning>.*) \|\Z")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WIDTH = 100
_OWN = frozenset(("gateway", "services", "bus", "telemetry", "tuning"))
"""Sections that a single process on a small machine does not need."""
_VALUES: Mapping[str, object] = {
    "server_url": "http://127.0.0.1:8080",
    "listen_addr": "127.0.0.1:8080",
    "metrics_listen_addr": "127.0.0.1:9090",
    "grpc_listen_addr": "127.0.0.1:50443",
    "unix_socket": "/var/run/headscale/headscale.sock",
    "unix_socket_permission": "0770",
    "noise.private_key_path": "/var/lib/headscale/noise_private.key",
    "prefixes.v4": "100.64.0.0/10",
    "prefixes.v6": "fd7a:115c:a1e0::/48",
    "derp.server.enabled": True,
    "derp.server.stun_listen_addr": "0.0.0.0:3478",
    "database.type": "sqlite",
    "database.sqlite.path": "/var/lib/headscale/db.sqlite",
    "log.level": "info",
    "log.format": "text",
    "policy.mode": "database",
    "dns.magic_dns": True,
    "dns.base_domain": "tailnet.internal",
    "dns.override_local_dns": False,
}
"""What a new installation sets: the guide's choices."""
_HEAD = """\
# Configuration of smartscale, with every key. Copy it to /etc/headscale/config.yaml, and set server_url.
# Lines that begin with `#` and no blank are defaults: remove the `#`, also in front of the sections above.
# Check it with: headscale configtest
"""


def example(*, complete: bool = False) -> str:
    """Return the text of the example; `complete` adds the sections for bounds and for several processes."""
    meanings = _meanings()
    lines = _section(shown(Config()), meanings, (), complete=complete)
    return _HEAD + "\n".join(lines) + "\n"


def _meanings() -> dict[str, str]:
    """Return what each key means, by key, without markup that only a page needs."""
    found = (_ROW.match(line) for line in _page().read_text(encoding="utf-8").splitlines())
    return {row["key"]: _LINK.sub(r"\1", row["meaning"]).replace("\\", "") for row in found if row}


def _page() -> Path:
    beside = _HERE.with_name(PAGE)
    return beside if beside.exists() else _HERE.parents[3] / "docs" / PAGE


def _section(
    section: Mapping[str, object], meanings: Mapping[str, str], path: tuple[str, ...], *, complete: bool
) -> Iterator[str]:
    for name, default in section.items():
        here = (*path, name)
        if here[0] in _OWN and not complete:
            continue
        key = ".".join(here)
        active = any(known == key or known.startswith(f"{key}.") for known in _VALUES)
        indent, mark = "  " * len(path), "" if active else "#"
        if not path and not isinstance(default, dict):
            yield ""
        if isinstance(default, dict) and key not in meanings:
            if not path:
                yield ""
            yield f"{indent}{mark}{name}:"
            yield from _section(default, meanings, here, complete=complete)
            continue
        for line in _comment(meanings.get(key, "")):
            yield f"{indent}# {line}"
        yield f"{indent}{mark}{name}:{_written(_VALUES.get(key, default))}"


def _comment(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= _WIDTH:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    if line:
        yield line


def _written(value: Any) -> str:
    if value is None or value == "":
        return ""
    return " " + yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
