"""Compares what this engine says with what the hosted service answered, as strictly as the captures allow."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.policy.compile import run
from services.policy.model.checks.testing import run_tests
from services.policy.model.compiler import compile_policy
from services.policy.model.text.hujson import read_hujson
from services.policy.model.text.problems import PolicyError
from services.policy.model.text.tree import to_json
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.access.ranges import coalesce, full_length, point, span

ROOT = Path(__file__).resolve().parents[4] / "shared" / "reference" / "policy-corpus"
FAMILIES = ("acl", "grant", "via", "routes", "ssh", "nodeattrs", "policytest", "sshtest", "issue_3212")
ROLES = {"odin": "owner", "thor": "admin", "freya": "admin"}
DOMAINS = ("example.com",)

SKIPPED_VIEWS = {
    "policytest-allpass-grants-only-tag-src-ipv6-literal-dst": "renumbering made a literal of the policy hit a node",
}
SKIPPED_VERDICTS = {
    "sshtest-malformed-dst-bare-ipv6": "renumbering made a literal of the policy hit a node",
}
SKIPPED_ROUTES = {"acl-k03": "its approvals changed while it was captured"}
RENUMBERED = ("nodeattrs", "policytest", "sshtest", "issue_3212", "ssh", "via")

NOT_POLICY = {
    "https://tailscale.com/cap/is-admin",
    "https://tailscale.com/cap/is-owner",
    "https://tailscale.com/cap/tailnet-lock",
    "service-host",
    "store-appc-routes",
    "https://tailscale.com/cap/warn-funnel-no-https",
    "tailnet-display-name",
    "tailnet.maxKeyDuration",
    "native-ipv4",
    "probe-udp-lifetime",
    "ssh-behavior-v1",
    "ssh-env-vars",
}


@dataclass
class Case:
    """One capture."""

    id: str
    family: str
    raw: dict[str, Any]
    policy: str = ""
    accepted: bool = True
    message: str = ""
    users: list[AccessUser] = field(default_factory=list)
    nodes: dict[str, AccessNode] = field(default_factory=dict)
    captures: dict[str, Any] = field(default_factory=dict)


def paths() -> list[Path]:
    """Every capture, in a steady order."""
    return [path for family in FAMILIES for path in sorted((ROOT / family).glob("*.json.gz"))]


def load(path: Path) -> Case:
    """Read one capture."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        raw: Any = to_json(read_hujson(file.read()))
    given = raw["input"]
    case = Case(raw["test_id"], path.parent.name, raw)
    policy = given.get("full_policy")
    if policy is not None:
        case.policy = policy if isinstance(policy, str) else json.dumps(policy, ensure_ascii=False)
    case.accepted = given.get("api_response_code") == 200 and not raw.get("error")
    case.message = (given.get("api_response_body") or {}).get("message") or ""
    case.captures = raw.get("captures") or {}
    for user in raw["topology"].get("users") or []:
        case.users.append(AccessUser(user["id"] or 1, user["name"], user["email"], role=ROLES[user["name"]]))
    _add_nodes(case)
    return case


def _add_nodes(case: Case) -> None:
    owners = {user.name: user.id for user in case.users}
    described = case.raw["topology"]["nodes"]

    def created(name: str) -> str:
        capture = case.captures.get(name) or {}
        return str((((capture.get("netmap") or {}).get("SelfNode")) or {}).get("Created") or "9")

    for number, name in enumerate(sorted(described, key=lambda name: (created(name), name)), 1):
        node = described[name]
        tags = tuple(node.get("tags") or ())
        approved = set(node.get("approved_routes") or ())
        own = ((case.captures.get(name) or {}).get("netmap") or {}).get("SelfNode") or {}
        approved |= set(own.get("AllowedIPs") or ()) - set(own.get("Addresses") or ())
        case.nodes[name] = AccessNode(
            id=number,
            user_id=0 if tags else owners.get(node.get("user"), 0),
            tags=tags,
            ipv4=node["ipv4"],
            ipv6=node["ipv6"],
            advertised_routes=tuple(node.get("routable_ips") or ()),
            approved_routes=tuple(sorted(approved)),
            created=number,
        )


def check(case: Case) -> list[str]:
    """Every difference between the capture and what this engine says."""
    try:
        document = compile_policy(case.policy, domains=DOMAINS)
        run_tests(document, case.users, case.nodes.values())
    except PolicyError as error:
        if case.id in SKIPPED_VERDICTS:
            return []
        if case.accepted:
            return [f"refused: {error}"]
        return _check_message(case, str(error))
    if not case.accepted:
        return [] if case.id in SKIPPED_VERDICTS else [f"accepted, but the service said: {case.message}"]
    settings = ((case.raw["input"].get("tailnet") or {}).get("settings")) or {}
    access = Access(
        document.policy,
        case.users,
        case.nodes.values(),
        server_url="https://unused",
        auto_update=bool(settings.get("devices_auto_updates_on")),
    )
    return [*_check_views(case, access), *_check_approvals(case, access), *_check_contract(case, access)]


def _topology(case: Case) -> dict[str, Any]:
    """The tailnet of a capture as `policy compile` is told of it, ids and names as they were captured."""
    settings = ((case.raw["input"].get("tailnet") or {}).get("settings")) or {}
    nodes = {
        name: {
            "id": node.id,
            "ipv4": node.ipv4,
            "ipv6": node.ipv6,
            "user": case.raw["topology"]["nodes"][name].get("user"),
            "tags": list(node.tags),
            "routable_ips": list(node.advertised_routes),
            "approved_routes": list(node.approved_routes),
        }
        for name, node in case.nodes.items()
    }
    users = [{**user, "role": ROLES[user["name"]]} for user in case.raw["topology"].get("users") or []]
    update = bool(settings.get("devices_auto_updates_on"))
    tailnet = {"domains": list(DOMAINS), "auto_update": update, "server_url": "https://unused"}
    return {"users": users, "nodes": nodes, "tailnet": tailnet}


def _check_contract(case: Case, access: Access) -> Iterator[str]:
    """What `policy compile` prints is what the evaluator says."""
    answer = run(case.policy, _topology(case))
    for name, node in case.nodes.items():
        said = answer["nodes"][name]
        if said["packet_filter"] != access.packet_filter(node.id):
            yield f"{name}: policy compile prints another filter"
        if said["ssh"] != (access.ssh_policy(node.id) or {"rules": []})["rules"]:
            yield f"{name}: policy compile prints other ssh rules"
        if said["cap_map"] != access.self_caps(node.id):
            yield f"{name}: policy compile prints other capabilities"
        ids = [case.nodes[peer].id for peer in said["peers"]]
        if ids != access.peers_of(node.id):
            yield f"{name}: policy compile prints other peers"
        for peer, shown in said["peers"].items():
            other = case.nodes[peer]
            hidden = access.hides_ipv4(node.id) or access.hides_ipv4(other.id)
            routes = access.allowed_routes(node.id, other.id)
            if set(shown["addresses"]) != _addresses(other, hidden):
                yield f"{name}: policy compile prints other addresses of {peer}"
            if shown["allowed_ips"] != [*shown["addresses"], *routes]:
                yield f"{name}: policy compile prints other routes of {peer}"


def _check_message(case: Case, text: str) -> list[str]:
    wanted = case.message
    if " is not associated" in wanted:
        wanted = wanted[wanted.index(" is not associated") :]
    if case.family == "nodeattrs" or wanted in text:
        return []
    return [f"wanted {wanted!r} in {text!r}"]


def _check_views(case: Case, access: Access) -> Iterator[str]:
    for name, capture in case.captures.items():
        if name not in case.nodes or capture.get("capture_error"):
            continue
        if case.id not in SKIPPED_VIEWS:
            yield from _check_filter(case, access, name, capture)
            yield from _check_peers(case, access, name, capture)
        if case.family in ("ssh", "sshtest"):
            yield from _check_ssh(case, access, name, capture)
        if case.family in ("grant", "via") and capture.get("whois_capmap"):
            yield from _check_whois(case, access, name, capture["whois_capmap"])


def _check_filter(case: Case, access: Access, name: str, capture: Mapping[str, Any]) -> Iterator[str]:
    wanted = [_rule(rule, case) for rule in capture.get("packet_filter_rules") or []]
    got = [_rule(rule, case) for rule in access.packet_filter(case.nodes[name].id)]
    if wanted != got:
        yield f"{name}: filter wanted {json.dumps(wanted)}\n   got {json.dumps(got)}"


def _rule(rule: Mapping[str, Any], case: Case) -> list[Any]:
    sources: Any = sorted(rule.get("SrcIPs") or [])
    if case.family in RENUMBERED and "*" not in sources:
        sources = [list(part) for part in coalesce(span(text) for text in sources)]
    ports = sorted(
        (_target(entry["IP"]), entry["Ports"]["First"], entry["Ports"]["Last"]) for entry in rule.get("DstPorts") or []
    )
    grants = [[sorted(grant["Dsts"]), grant["CapMap"]] for grant in rule.get("CapGrant") or []]
    grants.sort(key=json.dumps)
    return [sources, [list(port) for port in ports], sorted(rule.get("IPProto") or []), grants]


def _target(text: str) -> str:
    return text.removesuffix("/32").removesuffix("/128")


def _check_peers(case: Case, access: Access, name: str, capture: Mapping[str, Any]) -> Iterator[str]:
    netmap = capture.get("netmap")
    if netmap is None:
        return
    viewer = case.nodes[name].id
    names = {node.id: node_name for node_name, node in case.nodes.items()}
    peers = {str(peer["Name"]).split(".")[0]: peer for peer in netmap.get("Peers") or []}
    got = {names[peer] for peer in access.peers_of(viewer)}
    if got != set(peers):
        yield f"{name}: peers wanted {sorted(peers)} got {sorted(got)}"
    for peer_name, peer in peers.items():
        if peer_name in case.nodes:
            yield from _check_peer(case, access, name, peer_name, peer)
    own = netmap.get("SelfNode")
    if own:
        yield from _check_self(case, access, name, own)


def _check_peer(case: Case, access: Access, name: str, peer_name: str, peer: Mapping[str, Any]) -> Iterator[str]:
    viewer, other = case.nodes[name].id, case.nodes[peer_name].id
    addresses = set(peer.get("Addresses") or ())
    allowed = set(peer.get("AllowedIPs") or ()) - addresses
    got = access.allowed_routes(viewer, other)
    if case.id not in SKIPPED_ROUTES:
        if set(got) != allowed:
            yield f"{name}: routes of {peer_name} wanted {sorted(allowed)} got {sorted(got)}"
        primary = set(peer.get("PrimaryRoutes") or ())
        if primary != set(access.primary_routes(viewer, other)):
            yield f"{name}: primaries of {peer_name} wanted {sorted(primary)}"
    if case.family == "nodeattrs":
        hidden = access.hides_ipv4(viewer) or access.hides_ipv4(other)
        if addresses != _addresses(case.nodes[peer_name], hidden):
            yield f"{name}: addresses of {peer_name} wanted {sorted(addresses)}"
    wanted = _policy_caps(peer.get("CapMap"))
    if wanted != _policy_caps(access.peer_caps(other)):
        yield f"{name}: caps of {peer_name} wanted {wanted} got {access.peer_caps(other)}"


def _check_self(case: Case, access: Access, name: str, own: Mapping[str, Any]) -> Iterator[str]:
    node_id = case.nodes[name].id
    addresses = set(own.get("Addresses") or ())
    if case.id not in SKIPPED_ROUTES:
        wanted = set(own.get("AllowedIPs") or ()) - addresses
        if wanted != set(access.self_routes(node_id)):
            yield f"{name}: own routes wanted {sorted(wanted)} got {access.self_routes(node_id)}"
        primary = set(own.get("PrimaryRoutes") or ())
        if primary != set(access.self_primary_routes(node_id)):
            yield f"{name}: own primaries wanted {sorted(primary)} got {access.self_primary_routes(node_id)}"
    if case.family == "nodeattrs":
        if addresses != _addresses(case.nodes[name], access.hides_ipv4(node_id)):
            yield f"{name}: own addresses wanted {sorted(addresses)}"
        caps, got = _policy_caps(own.get("CapMap")), _policy_caps(access.self_caps(node_id))
        if caps != got:
            yield f"{name}: own caps wanted {caps} got {got}"
        admin = "https://tailscale.com/cap/is-admin"
        if (admin in (own.get("CapMap") or {})) != (admin in access.self_caps(node_id)):
            yield f"{name}: is-admin differs"


def _addresses(node: AccessNode, hidden: bool) -> set[str]:
    return {full_length(text) for text in (node.ipv4, node.ipv6) if not (hidden and text == node.ipv4)}


def _policy_caps(caps: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        name: values
        for name, values in (caps or {}).items()
        if name not in NOT_POLICY and not name.startswith("https://tailscale.com/cap/funnel-ports?")
    }


def _check_ssh(case: Case, access: Access, name: str, capture: Mapping[str, Any]) -> Iterator[str]:
    policy = access.ssh_policy(case.nodes[name].id)
    wanted = [_ssh_rule(rule) for rule in capture.get("ssh_rules") or []]
    got = [_ssh_rule(rule) for rule in (policy or {}).get("rules") or []]
    if wanted != got:
        yield f"{name}: ssh wanted {wanted}\n   got {got}"


def _ssh_rule(rule: Mapping[str, Any]) -> list[Any]:
    principals = Counter(str(principal["nodeIP"]) for principal in rule.get("principals") or [])
    return [sorted(principals.items()), rule["sshUsers"], rule["action"], rule.get("acceptEnv")]


def _check_whois(case: Case, access: Access, name: str, whois: Mapping[str, Any]) -> Iterator[str]:
    node = case.nodes[name]
    rules = access.packet_filter(node.id)
    own = [point(node.ipv4), point(node.ipv6)]
    for address, caps in whois.items():
        place = point(address)
        got: dict[str, list[str]] = {}
        for rule in rules:
            if not any(text == "*" or _holds(text, place) for text in rule["SrcIPs"]):
                continue
            for grant in rule.get("CapGrant") or []:
                if any(_holds(text, mine) for text in grant["Dsts"] for mine in own):
                    for cap, values in grant["CapMap"].items():
                        got.setdefault(cap, []).extend(json.dumps(value, sort_keys=True) for value in values or [])
        wanted = {cap: [json.dumps(v, sort_keys=True) for v in values or []] for cap, values in (caps or {}).items()}
        if {c: sorted(v) for c, v in wanted.items()} != {c: sorted(v) for c, v in got.items()}:
            yield f"{name}: whois of {address} wanted {wanted} got {got}"


def _holds(text: str, place: int) -> bool:
    first, last = span(text)
    return first <= place <= last


def _check_approvals(case: Case, access: Access) -> Iterator[str]:
    if case.family != "routes":
        return
    for name, node in case.nodes.items():
        effective = set(case.raw["topology"]["nodes"][name].get("approved_routes") or ())
        for route in node.advertised_routes:
            approved = route in access.auto_approved(node.id)
            if approved != (route in effective):
                yield f"{name}: auto-approval of {route} got {approved}"
