"""Reads the guide that administrators follow: its files with the indentation that they lost, and its commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

GUIDE = Path(__file__).parents[2].parent / "shared" / "guide" / "smartlink-headscale-guide.txt"

PROGRAMS = ["headscale", "tailscale", "curl", "ping", "brew", "journalctl", "openssl", "sqlite3", "cp", "pg_dump"]

_SECTIONS = {
    "oidc": "enabled|issuer|client_id|client_secret|scope|claims|allowed_domains|allowed_groups|auto_create_users"
    "|expiry|use_expiry_from_token|create_namespace_for_user|namespace_format|namespace_claim",
    "claims": "email|name|groups",
    "dns_config": "nameservers|domains|magic_dns|base_domain",
    "groups": "group:.*",
    "acls": "action",
    "acls[]": "src|dst",
    "tagOwners": "tag:.*",
}
"""Which keys stand below which; all others stand at the margin."""

_LINE = re.compile(r"(?P<dash>- )?(?:(?P<key>[\w:]+):(?P<value>\s.*|$))?")


def missing() -> str | None:
    """Why nothing can be read, or None."""
    return None if GUIDE.is_file() else f"the guide is not at {GUIDE}"


def text() -> str:
    """The whole guide."""
    return GUIDE.read_text()


def config() -> str:
    """Its config.yaml."""
    return indented(_between("Edit the Headscale configuration file", "2. Configuration with Environment Variables"))


def more_config() -> str:
    """What its chapter on namespaces puts into config.yaml."""
    return indented(_between("# In config.yaml", "Integration with Kubernetes"))


def acls() -> str:
    """Its acls.yaml."""
    return indented(_between("Create an acls.yaml", "2. Applying ACLs"))


def nginx() -> str:
    """Its reverse proxy."""
    return _between("Nginx configuration example for Headscale", "Group-Based ACL Configuration")


def environment() -> dict[str, str]:
    """The variables that it exports."""
    return {name: value.strip('"') for name, value in re.findall(r"^export (\w+)=(.*)$", text(), re.MULTILINE)}


def compose_environment() -> dict[str, str]:
    """The variables of its docker-compose.yml."""
    return dict(re.findall(r"^- (HEADSCALE_\w+)=(.*)$", text(), re.MULTILINE))


def commands() -> list[str]:
    """Every command, once, in its order."""
    found = re.findall(rf"^\s*(?:command: )?((?:{'|'.join(PROGRAMS)}) \S.*)$", text(), re.MULTILINE)
    return list(dict.fromkeys(found))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Put an administrator's own values in place of the guide's examples."""
    for example, own in values.items():
        text = text.replace(example, own)
    return text


def indented(flat: str) -> str:
    """YAML as it was meant before it lost its indentation."""
    lines: list[str] = []
    open_sections: list[str] = []
    for line in flat.splitlines():
        found = _LINE.match(line)
        assert found is not None
        key, dash = found["key"], found["dash"]
        if key is None:
            depth = len(open_sections) if dash else 0
            lines.append("  " * depth + line)
            continue
        while open_sections and not re.fullmatch(_SECTIONS.get(open_sections[-1], "(?!)"), key):
            open_sections.pop()
        lines.append("  " * len(open_sections) + line)
        if dash:
            open_sections.append(f"{open_sections[-1]}[]")
        elif not found["value"].strip():
            open_sections.append(key)
    return "\n".join(lines) + "\n"


def _between(start: str, end: str) -> str:
    """The lines after the one that begins so, up to the one that begins otherwise."""
    lines = text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(start)) + 1
    last = next(number for number, line in enumerate(lines) if number > first and line.startswith(end))
    return "\n".join(lines[first:last])
