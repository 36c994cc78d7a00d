"""A complete example configuration, made from the description of the keys. Reads no configuration.

Keys that a new installation sets are written as they are, all others as comments with their defaults: a line
`#key: value` becomes active without its `#`, once the lines of its sections are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from services.shared.config.described import KeyInfo, described

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WIDTH = 100
_OWN = frozenset(("gateway", "services", "bus", "telemetry", "tuning"))
"""Sections that a single process on a small machine does not need."""
VALUES: Mapping[str, str] = {
    "server_url": "http://127.0.0.1:8080",
    "listen_addr": "127.0.0.1:8080",
    "metrics_listen_addr": "127.0.0.1:9090",
    "grpc_listen_addr": "127.0.0.1:50443",
    "unix_socket": "/var/run/headscale/headscale.sock",
    "unix_socket_permission": "0770",
    "noise.private_key_path": "/var/lib/headscale/noise_private.key",
    "prefixes.v4": "100.64.0.0/10",
    "prefixes.v6": "fd7a:115c:a1e0::/48",
    "derp.server.enabled": "true",
    "derp.server.stun_listen_addr": "0.0.0.0:3478",
    "database.type": "sqlite",
    "database.sqlite.path": "/var/lib/headscale/db.sqlite",
    "log.level": "info",
    "log.format": "text",
    "policy.mode": "database",
    "dns.magic_dns": "true",
    "dns.base_domain": "tailnet.internal",
    "dns.override_local_dns": "false",
}
"""Values of a new installation, as the guide has them."""
_HEAD = """\
# Configuration of smartscale, with every key. Copy it to /etc/headscale/config.yaml, and set server_url.
# Lines that begin with `#` and no blank are defaults: remove the `#`, also in front of the sections above.
# Check it with: headscale configtest
"""


def example(*, complete: bool = False) -> str:
    """Return the text of the example; `complete` adds the sections for bounds and for several processes."""
    keys = [key for key in described() if complete or key.path[0] not in _OWN]
    return _HEAD + "\n".join(_lines(keys)) + "\n"


def _lines(keys: list[KeyInfo]) -> Iterator[str]:
    before: tuple[str, ...] = ()
    for key in keys:
        *sections, name = key.path
        if not sections or before[:1] != key.path[:1]:
            yield ""
        for depth in range(len(sections)):
            if before[: depth + 1] != key.path[: depth + 1]:
                yield f"{'  ' * depth}{_mark('.'.join(key.path[: depth + 1]))}{sections[depth]}:"
        before = key.path[:-1]
        indent = "  " * len(sections)
        yield from (f"{indent}# {line}" for line in _comment(key))
        yield f"{indent}{_mark(key.name)}{name}: {VALUES.get(key.name, key.default)}".rstrip()


def _mark(key: str) -> str:
    """Return what stands in front of a key or section that the example does not set."""
    return "" if any(known == key or known.startswith(f"{key}.") for known in VALUES) else "#"


def _comment(key: KeyInfo) -> Iterator[str]:
    """Yield the meaning of a key in lines, without the markup of the documentation's page."""
    text = _LINK.sub(r"\1", key.meaning) + (" Secret." if key.secret else "")
    if key.choices and not all(choice in text for choice in key.choices):
        text += f" One of {', '.join(key.choices)}."
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= _WIDTH:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    if line:
        yield line
