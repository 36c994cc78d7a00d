"""Keys of earlier Headscale releases and of our users' guide: moved to today's place, with one line for each.

Sources: Headscale's `config-example.yaml` of v0.12 to v0.22.3, its deprecation list of v0.23, and the guide.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from services.shared.config.errors import ConfigProblem
from services.shared.config.source import Given, Scalar, Tree, same
from services.shared.config.spelling import WrongValueError, parse_truth, split_list

Path = tuple[str, ...]

_MOVED: dict[Path, Path] = {
    ("db_type",): ("database", "type"),
    ("db_path",): ("database", "sqlite", "path"),
    **{(f"db_{name}",): ("database", "postgres", name) for name in ("host", "port", "name", "user", "pass", "ssl")},
    ("ephemeral_node_inactivity_timeout",): ("node", "ephemeral", "inactivity_timeout"),
    ("acl_policy_path",): ("policy", "path"),
    ("log_level",): ("log", "level"),
    ("derp_map_path",): ("derp", "paths"),
    ("dns", "split"): ("dns", "nameservers", "split"),
    ("dns", "restricted_nameservers"): ("dns", "nameservers", "split"),
    ("dns", "domains"): ("dns", "search_domains"),
    ("derp", "server", "urls"): ("derp", "urls"),
    ("derp", "server", "paths"): ("derp", "paths"),
    ("dns_config", "nameservers"): ("dns", "nameservers", "global"),
    ("dns_config", "restricted_nameservers"): ("dns", "nameservers", "split"),
    ("dns_config", "domains"): ("dns", "search_domains"),
    ("dns_config", "search_domains"): ("dns", "search_domains"),
    **{
        ("dns_config", name): ("dns", name)
        for name in ("magic_dns", "base_domain", "override_local_dns", "extra_records")
    },
}
_IGNORED: dict[Path, str] = {
    ("tls_client_auth_mode",): "clients prove who they are inside the connection, not by TLS certificates",
    ("tuning", "node_mapsession_changed_buffer_size"): "windows and queues follow the load",
    ("node_update_check_interval",): "changes are sent to nodes at once",
    ("oidc", "map_legacy_users"): "users are found by their identity at the provider",
    ("oidc", "domain_map"): "users are found by their identity at the provider",
    ("dns", "use_username_in_magic_dns"): "names have no user part",
    ("dns_config", "use_username_in_magic_dns"): "names have no user part",
}
_SPECIAL: tuple[Path, ...] = (
    ("ip_prefixes",), ("ip_prefix",), ("oidc", "enabled"), ("oidc", "strip_email_domain"), ("private_key_path",)
)  # fmt: skip
_DISCOURAGED: dict[Path, str] = {
    ("oidc", "expiry"): "node.expiry, which applies to every way of joining; this key applies to OpenID logins only",
    ("randomize_client_port",): "`randomizeClientPort` in the policy, which can be changed without a restart",
}

LEGACY_KEYS: tuple[Path, ...] = (*_MOVED, *_IGNORED, *_SPECIAL)
"""Keys that no section of today has."""


def normalise(tree: Tree, problems: list[ConfigProblem]) -> list[str]:
    """Move old keys to their place of today; returns one deprecation line for each that was used."""
    lines = _name_servers(tree) + _override(tree)
    for old, new in _MOVED.items():
        given = tree.take(old)
        if given is None or given.is_null:
            continue
        lines.append(_line(given, old, f"is now {'.'.join(new)}"))
        if given.is_blank and tree.find(new) is not None:
            continue  # Headscale's example had both for some releases, one of them empty
        _move(tree, given, old, new, problems)
    for old, why in _IGNORED.items():
        if (given := tree.take(old)) is not None and not given.is_null:
            lines.append(_line(given, old, f"is ignored: {why}"))
    for old, instead in _DISCOURAGED.items():
        if (given := tree.find(old)) is not None and not given.is_null:
            lines.append(_line(given, old, f"is better written as {instead}"))
    lines.extend(_ip_prefixes(tree, "ip_prefix", problems))
    lines.extend(_ip_prefixes(tree, "ip_prefixes", problems))
    lines.extend(_relay_key(tree))
    lines.extend(_strip_email_domain(tree, problems))
    lines.extend(_oidc_enabled(tree, problems))
    return lines


def _name_servers(tree: Tree) -> list[str]:
    """Read the old list below the new name as the global ones, and the new section below the old name as it is."""
    listed, old = ("dns", "nameservers"), ("dns_config", "nameservers")
    lines = []
    given = tree.find(listed)
    if given is not None and not given.is_blank and not isinstance(given.value, dict):
        tree.put(listed, Given({"global": given}, given.where))
        lines.append(_line(given, listed, "is now dns.nameservers.global"))
    given = tree.find(old)
    if given is not None and isinstance(given.value, dict) and tree.find(listed) is None:
        tree.put(listed, given)
        tree.take(old)
        lines.append(_line(given, old, "is now dns.nameservers"))
    return lines


def _override(tree: Tree) -> list[str]:
    """Drop the old switch that replaces a client's name servers by none: until 0.22 it then did nothing."""
    old = ("dns_config", "override_local_dns")
    servers = (tree.find(("dns_config", "nameservers")), tree.find(("dns", "nameservers")))
    given = tree.find(old)
    if given is None or given.is_null or any(one is not None and not one.is_blank for one in servers):
        return []
    if not isinstance(given.value, Scalar) or given.value.text.lower() not in ("true", "yes", "on", "1"):
        return []
    tree.take(old)
    return [_line(given, old, "is ignored: there is no name server to use instead")]


def _line(given: Given, old: Path, what: str) -> str:
    return f"{given.where}: {'.'.join(old)} {what}"


def _move(tree: Tree, given: Given, old: Path, new: Path, problems: list[ConfigProblem]) -> None:
    present = tree.find(new)
    if present is None or present.is_null:
        tree.put(new, given)
    elif not same(present, given) and "environment" not in present.where:
        problems.append(
            ConfigProblem(
                given.where, ".".join(old), f"contradicts {'.'.join(new)} at {present.where}", "keep only the newer key"
            )
        )


def _ip_prefixes(tree: Tree, old: str, problems: list[ConfigProblem]) -> list[str]:
    given = tree.take((old,))
    if given is None or given.is_blank:
        return []
    try:
        items = split_list(given.value.text, given.where) if isinstance(given.value, Scalar) else given.value
    except WrongValueError as error:
        problems.append(ConfigProblem(given.where, old, error.what, error.remedy))
        return []
    for item in items if isinstance(items, list) else ():
        text = item.value.text if isinstance(item.value, Scalar) else ""
        try:
            version = ipaddress.ip_network(text, strict=False).version
        except ValueError:
            problems.append(
                ConfigProblem(item.where, old, f"contains {text!r}, which is not a prefix", "write 100.64.0.0/10")
            )
            continue
        _move(tree, item, (old,), ("prefixes", f"v{version}"), problems)
    return [_line(given, (old,), "is now prefixes.v4 and prefixes.v6")]


def _relay_key(tree: Tree) -> list[str]:
    """Keep the key of the old protocol as the relay's, which it also was until 0.22."""
    old, new = ("private_key_path",), ("derp", "server", "private_key_path")
    given = tree.take(old)
    if given is None or given.is_null:
        return []
    present = tree.find(new)
    if given.is_blank or (present is not None and not present.is_blank):
        return [_line(given, old, "is ignored: the old protocol that used it is gone")]
    tree.put(new, given)
    return [_line(given, old, "is now derp.server.private_key_path; the old protocol that used it too is gone")]


def _strip_email_domain(tree: Tree, problems: list[ConfigProblem]) -> list[str]:
    """Name new users as Headscale did until 0.23: by the local part of their address, or by the whole."""
    old, new = ("oidc", "strip_email_domain"), ("oidc", "namespace_format")
    given = tree.take(old)
    if given is None or given.is_blank:
        return []
    try:
        strips = parse_truth(given.value.text if isinstance(given.value, Scalar) else "")
    except WrongValueError as error:
        problems.append(ConfigProblem(given.where, ".".join(old), error.what, error.remedy))
        return []
    template = "{email_local}" if strips else "{email}"
    present = tree.find(new)
    if present is not None and not present.is_blank:
        return [_line(given, old, "is ignored: oidc.namespace_format says how users are named")]
    tree.put(new, replace(given, value=Scalar(template)))
    return [_line(given, old, f'is now oidc.namespace_format: "{template}"')]


def _oidc_enabled(tree: Tree, problems: list[ConfigProblem]) -> list[str]:
    given = tree.take(("oidc", "enabled"))
    if given is None or given.is_null:
        return []
    try:
        on = parse_truth(given.value.text if isinstance(given.value, Scalar) else "")
    except WrongValueError as error:
        problems.append(ConfigProblem(given.where, "oidc.enabled", error.what, error.remedy))
        return []
    if not on:
        tree.take(("oidc",))
        return [_line(given, ("oidc", "enabled"), "turns sign-in off; leaving out oidc.issuer does that too")]
    issuer = tree.find(("oidc", "issuer"))
    has_issuer = issuer is not None and isinstance(issuer.value, Scalar) and issuer.value.text != ""
    if not has_issuer and tree.find(("oidc", "providers")) is None:
        problems.append(ConfigProblem(given.where, "oidc.enabled", "is on without oidc.issuer", "set oidc.issuer"))
    return []
