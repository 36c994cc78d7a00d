"""Node capabilities: `CapMap` of a node's own record and of its record as a peer, by policy and settings."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from services.shared.access.compiled import AliasKind, CompiledPolicy
from services.shared.access.directory import Directory, Member
from services.shared.access.matching import Segments, by_alias
from services.shared.access.owners import names

CapMap = dict[str, Any]

FILE_SHARING = "https://tailscale.com/cap/file-sharing"
SSH = "https://tailscale.com/cap/ssh"
IS_ADMIN = "https://tailscale.com/cap/is-admin"
IS_OWNER = "https://tailscale.com/cap/is-owner"
FUNNEL_PORTS = "https://tailscale.com/cap/funnel-ports?ports=443,8443,10000"
FUNNEL_NO_HTTPS = "https://tailscale.com/cap/warn-funnel-no-https"
DISABLE_IPV4 = "disable-ipv4"
RANDOM_PORTS = "randomize-client-port"
SERVICE_HOST = "service-host"
"""On a host of services: one object with the addresses of its services."""
SUGGESTED = "suggest-exit-node"
"""On a peer: clients may recommend it. The hosted service sends it for exit nodes that `autoApprovers` approves too."""

_PEER_SIDE = ("dns-subdomain-resolve",)
"""Attributes that other nodes read on a peer's record."""

_MACOS = ("macos", "darwin")


class Capabilities:
    """Capability maps of the nodes of one snapshot."""

    def __init__(
        self,
        directory: Directory,
        policy: CompiledPolicy,
        *,
        taildrop: bool,
        auto_update: bool,
        random_ports: bool = False,
    ) -> None:
        self._directory = directory
        self._policy = policy
        self._entries = policy.node_attributes
        self._base: CapMap = {SSH: None, "default-auto-update": [auto_update]}
        if taildrop:
            self._base[FILE_SHARING] = None
        if random_ports:
            self._base[RANDOM_PORTS] = None
        targets = by_alias(entry.target for entry in self._entries)
        self._identities: dict[object, int] = {}
        for alias, mask in targets.items():
            for identity in directory.identities_of(alias):
                self._identities[identity] = self._identities.get(identity, 0) | mask
        self._segments = Segments(
            (directory.spans_of(alias, source=False), mask)
            for alias, mask in targets.items()
            if alias.kind in (AliasKind.PREFIXES, AliasKind.ANY)
        )
        self._given: dict[int, CapMap] = {}

    @property
    def any(self) -> bool:
        """Return whether the policy gives any node any attribute."""
        return bool(self._entries)

    def _mask(self, one: Member) -> int:
        if not self._entries:
            return 0
        mask = self._identities.get(one.identity, 0)
        for place in one.places:
            mask |= self._segments.at(place)
        return mask

    def given(self, one: Member) -> Mapping[str, Any]:
        """Return the attributes that the policy gives a node."""
        mask = self._mask(one)
        found = self._given.get(mask)
        if found is None:
            found = self._given[mask] = self._union(mask)
        return found

    def _union(self, mask: int) -> CapMap:
        caps: CapMap = {}
        for number, entry in enumerate(self._entries):
            if not mask >> number & 1:
                continue
            for name in entry.attributes:
                caps.setdefault(name, None)
            for capability in entry.app:
                values = json.loads(capability.values) or []
                caps[capability.name] = [*(caps.get(capability.name) or []), *values]
        if "funnel" in caps:
            caps[FUNNEL_PORTS] = None
            caps[FUNNEL_NO_HTTPS] = None
        return caps

    def key(self, one: Member) -> Hashable:
        """Return a key; equal keys mean equal maps on the nodes' own records. Cheaper than the map itself."""
        attributes = one.node.attributes if self._policy.one_cgnat_route else ()
        return self._mask(one), one.user_id, attributes, self._directory.services.served_by(one.node.id)

    def own(self, one: Member) -> CapMap:
        """Return the `CapMap` of the node's own record."""
        caps = {**self._base, **self.given(one)}
        user = self._directory.users.get(one.user_id)
        if user is not None and user.role in ("admin", "owner"):
            caps[IS_ADMIN] = None
        if user is not None and user.role == "owner":
            caps[IS_OWNER] = None
        route = self._policy.one_cgnat_route
        if route and dict(one.node.attributes).get("node:os", "").lower() in _MACOS:
            caps["one-cgnat?v=true" if route == "mac-always" else "one-cgnat?v=false"] = None
        if self._policy.disable_ipv4:
            caps[DISABLE_IPV4] = None
        if served := self._directory.services.served_by(one.node.id):
            caps[SERVICE_HOST] = [{service.name: list(service.addresses) for service in served}]
        return caps

    def as_peer(self, one: Member) -> CapMap:
        """Return the `CapMap` of the node's record as peers see it."""
        given = self.given(one)
        caps: CapMap = {name: None for name in _PEER_SIDE if name in given}
        if one.exits and (SUGGESTED in given or names(self._directory, self._policy.exit_approvers, one)):
            caps[SUGGESTED] = None
        return caps

    def hides_ipv4(self, one: Member) -> bool:
        """Return whether IPv4 is disabled for the node."""
        return self._policy.disable_ipv4 or DISABLE_IPV4 in self.given(one)
