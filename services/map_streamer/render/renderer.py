"""Renders full maps of the current view, and the fragments that deltas are composed of, for any viewer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from services.map_streamer.render.derp import NO_REGIONS as _NO_REGIONS
from services.map_streamer.render.derp import derp_map, without_pins
from services.map_streamer.render.dns import DnsSettings, dns_config, nextdns_resolvers
from services.map_streamer.render.frames import FrameCache
from services.map_streamer.render.full import Layout, Part
from services.map_streamer.render.nodes import PLAIN, Fragment, Fragments, Shape, profile_json, self_json
from services.map_streamer.render.notices import NoticeTexts, all_notices, changed_notices
from services.map_streamer.render.viewer import Encoding, Viewer
from services.map_streamer.snapshot import NodeRecord, Notice, View
from services.shared.config.tailnet import DnsConfig
from services.shared.tailnet_settings import TailnetSettings, effective_dns

_LEGACY = Shape(legacy=True)


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """Content of every message that comes from the configuration; constant while the process runs."""

    dns: DnsConfig = field(default_factory=DnsConfig)
    logtail: bool = False
    """True if clients may send their logs to their vendor."""
    notices: NoticeTexts = field(default_factory=NoticeTexts)
    unpinned_old_clients: bool = True
    """True if clients that read no pinned certificates are sent pinned relays with any certificate accepted."""

    def dns_of(self, stored: TailnetSettings) -> DnsSettings:
        """Return the DNS configuration in force: with what administrators stored."""
        records = tuple((record.name, record.type, record.value) for record in self.dns.extra_records)
        return DnsSettings(effective_dns(self.dns, stored.dns), self.dns.base_domain, records)


@dataclass(frozen=True, slots=True)
class _Dns:
    """A rendered `DNSConfig`, and what it was made of; no text where it differs between nodes."""

    records: tuple[tuple[str, str, str], ...]
    stored: TailnetSettings
    settings: DnsSettings
    text: bytes


class Renderer:
    """Renderer of one tailnet's current view, with the fragments and frames made so far."""

    def __init__(self, settings: RenderSettings, view: View, cache: FrameCache | None = None) -> None:
        self._settings = settings
        self._domain = settings.dns.base_domain.strip(".")
        self._dns: tuple[_Dns, ...] = ()
        """The last two: a delta compares the new one with the old one for each viewer."""
        self.cache = cache if cache is not None else FrameCache()
        self._fragments = Fragments(self._domain, self.cache.retire)
        self._derp: tuple[tuple[object, ...], bytes, bytes] | None = None
        self._layouts: dict[tuple[int, bool, bool], Layout] = {}
        self._shared: dict[tuple[int, int, bool], bytes] = {}
        self.view = view

    def show(self, view: View) -> None:
        """Make this the current view; it must follow the previous one."""
        for node_id in view.touched:
            if node_id not in view.snapshot.nodes:
                self._fragments.forget(node_id)
        self.view = view
        self._layouts.clear()
        self._shared.clear()

    def derp_json(self, *, pins: bool = True) -> bytes:
        """Return the current `DERPMap` as JSON, for clients that read pinned certificates or for those that do not."""
        snapshot = self.view.snapshot
        key = snapshot.relays, snapshot.policy.derp_map, snapshot.regions
        if self._derp is None or self._derp[0] != key:
            pinned = derp_map(snapshot.regions, snapshot.relays.values(), snapshot.policy.derp_map)
            self._derp = key, pinned, without_pins(pinned) if self._settings.unpinned_old_clients else pinned
        return self._derp[1] if pins else self._derp[2]

    def unpins(self, encoding: Encoding) -> bool:
        """Return whether viewers with this encoding are sent pinned relays without their pins."""
        return not encoding.pins and self.derp_json() != self.derp_json(pins=False)

    def derp_members(self, *, pins: bool) -> list[bytes]:
        """Return the member `DERPMap` of a map response; none while no region is known: clients keep their map."""
        text = self.derp_json(pins=pins)
        return [] if text.endswith(_NO_REGIONS) else [b'"DERPMap":' + text]

    def dns_json(self, view: View, node: NodeRecord) -> bytes:
        """Return the `DNSConfig` of a node as JSON."""
        records, stored = view.snapshot.dns_records, view.snapshot.settings
        found = next((one for one in self._dns if one.records is records and one.stored is stored), None)
        if found is None:
            settings = self._settings.dns_of(stored)
            found = _Dns(records, stored, settings, b"" if settings.per_node else dns_config(settings, records))
            self._dns = (found, *self._dns[:1])
        if not found.settings.per_node:
            return found.text
        resolvers = nextdns_resolvers(found.settings, view.visibility.own_caps(node.id), node)
        return dns_config(found.settings, records, resolvers)

    def fragment(self, class_: int, node_id: int, *, legacy: bool) -> Fragment:
        """Return the fragment of a node for members of a class."""
        return self._fragments.peer(self.view.node(node_id), self._shape(class_, node_id, legacy=legacy))

    def _shape(self, class_: int, node_id: int, *, legacy: bool) -> Shape:
        visibility = self.view.visibility
        hidden = visibility.class_hides_ipv4(class_)
        if not hidden and node_id not in visibility.special:
            return _LEGACY if legacy else PLAIN
        allowed, primary = visibility.routes(class_, node_id)
        caps = visibility.peer_caps.get(node_id, b"")
        return Shape(allowed, primary, caps, hidden or node_id in visibility.without_ipv4, legacy)

    def all_notices(self, notices: tuple[Notice, ...], viewer: Viewer) -> bytes:
        """Return the member after which a viewer's client shows these notices and no others."""
        return all_notices(notices, self._settings.notices, viewer.cap_version)

    def changed_notices(self, old: tuple[Notice, ...], new: tuple[Notice, ...], viewer: Viewer) -> tuple[bytes, ...]:
        """Return the members of a delta for a viewer whose client shows `old`."""
        return changed_notices(old, new, self._settings.notices, viewer.cap_version)

    def own_json(self, node_id: int, *, legacy: bool = False) -> bytes:
        """Return a node's own record."""
        visibility = self.view.visibility
        allowed, primary = visibility.own_routes(node_id)
        shape = Shape(allowed, primary, visibility.own_caps(node_id), node_id in visibility.without_ipv4, legacy)
        return self_json(self.view.node(node_id), self._domain, shape)

    def profiles_json(self, user_ids: Iterable[int]) -> bytes:
        """Return a `UserProfiles` array as JSON, by id."""
        users = self.view.snapshot.users
        return b"[" + b",".join(profile_json(user_id, users.get(user_id)) for user_id in sorted(set(user_ids))) + b"]"

    def full(self, viewer: Viewer, now: datetime, *, again: bool = False) -> list[Part]:
        """Return the full map of a viewer; its node must be in the current view. `again`: its stream has had a map."""
        visibility, node = self.view.visibility, self.view.node(viewer.node_id)
        class_ = visibility.class_of(node.id)
        head = [
            b'{"Node":' + self.own_json(node.id, legacy=viewer.encoding.legacy),
            b'"DNSConfig":' + self.dns_json(self.view, node),
            b'"CollectServices":false',
            b'"PacketFilters":{"base":' + visibility.packet_filter(node.id) + b"}",
            b'"SSHPolicy":' + visibility.ssh_policy(node.id),
            b'"ControlTime":' + orjson.dumps(now, option=orjson.OPT_UTC_Z),
        ]
        if node.notices or again:
            head.append(self.all_notices(node.notices, viewer))
        if not self._settings.logtail:
            head.append(b'"Debug":{"DisableLogTail":true}')
        shared = self._shared_json(class_, node.owner, pins=viewer.encoding.pins)
        frame = self.cache.get(shared, (shared,), zstd=viewer.zstd)
        layout = self._layout(class_, viewer)
        return layout.assemble(b",".join(head) + b",", frame, node.id)

    def _shared_json(self, class_: int, owner: int, *, pins: bool) -> bytes:
        found = self._shared.get((class_, owner, pins))
        if found is None:
            members = self.derp_members(pins=pins)
            if self._domain:
                members.append(b'"Domain":' + orjson.dumps(self._domain))
            members.append(b'"UserProfiles":' + self.profiles_json(self.view.owners(class_) | {owner}))
            found = self._shared[class_, owner, pins] = b",".join(members)
        return found

    def _layout(self, class_: int, viewer: Viewer) -> Layout:
        key = class_, viewer.encoding.legacy, viewer.zstd
        layout = self._layouts.get(key)
        if layout is None:
            legacy = viewer.encoding.legacy

            def fragment(node_id: int) -> Fragment:
                return self.fragment(class_, node_id, legacy=legacy)

            layout = Layout(self.view.visibility.visible(class_), fragment, self.cache, zstd=viewer.zstd)
            self._layouts[key] = layout
        return layout
