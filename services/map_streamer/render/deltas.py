"""Delta maps: the parts of a map that a change alters for one viewer, composed from the renderer's fragments."""

from __future__ import annotations

import orjson

from services.map_streamer.diff import Difference, Patch
from services.map_streamer.render.nodes import patch_json
from services.map_streamer.render.renderer import Renderer
from services.map_streamer.render.viewer import Viewer
from services.map_streamer.snapshot import ssh_json


class Deltas:
    """Renderer of the deltas of one difference; each distinct one is encoded once."""

    def __init__(self, renderer: Renderer, difference: Difference) -> None:
        self._renderer = renderer
        self._difference = difference
        self._made: dict[tuple[object, ...], bytes | None] = {}
        self._patches: dict[int, bytes] = {}

    def message(self, viewer: Viewer) -> bytes | None:
        """Return the delta for a viewer; None if nothing changed for it."""
        difference = self._difference
        if difference.empty:
            return None
        node_id = viewer.node_id
        classes = difference.classes(node_id)
        own = self._own(viewer) if difference.own_record(node_id) else b""
        excluded = node_id if node_id in difference.peers(node_id).named else 0
        rules, ssh = difference.packet_filter(node_id), difference.ssh_runs(node_id)
        dns = self._dns(node_id)
        notices = self._notices(viewer) if difference.notices(node_id) else ()
        key = (classes, viewer.encoding, excluded, own, rules, ssh, dns, notices)
        if key not in self._made:
            text = self._compose(viewer, own, rules, ssh, dns, notices)
            self._made[key] = self._renderer.cache.encoder.encode(text, zstd=viewer.zstd) if text else None
        return self._made[key]

    def _own(self, viewer: Viewer) -> bytes:
        return self._renderer.own_json(viewer.node_id, legacy=viewer.encoding.legacy)

    def _notices(self, viewer: Viewer) -> tuple[bytes, ...]:
        difference, node_id = self._difference, viewer.node_id
        new = difference.new.node(node_id).notices
        if difference.uncertain is not None:
            return (self._renderer.all_notices(new, viewer),)
        return self._renderer.changed_notices(difference.old.node(node_id).notices, new, viewer)

    def _dns(self, node_id: int) -> bytes | None:
        difference = self._difference
        known = difference.uncertain is None and not difference.dns
        if known and not difference.reshaped and node_id not in difference.changes:
            return None
        text = self._renderer.dns_json(difference.new, difference.new.node(node_id))
        if (
            difference.uncertain is None
            and self._renderer.dns_json(difference.old, difference.old.node(node_id)) == text
        ):
            return None
        return text

    def _changed_owners(self, viewer: Viewer, class_: int, own: bytes) -> set[int]:
        """Return the owners with a profile to send beside those of changed peers."""
        view, users = self._difference.new, self._difference.users
        owner = view.node(viewer.node_id).owner
        owners = {owner} if own else set()
        return owners | (users & (view.owners(class_) | {owner})) if users else owners

    def _compose(
        self,
        viewer: Viewer,
        own: bytes,
        rules: bytes | None,
        ssh: tuple[bytes, ...] | None,
        dns: bytes | None,
        notices: tuple[bytes, ...],
    ) -> bytes:
        difference, renderer = self._difference, self._renderer
        view, class_ = difference.new, difference.classes(viewer.node_id)[1]
        peers = difference.peers(viewer.node_id)
        whole = [node_id for node_id in peers.whole if node_id != viewer.node_id]
        patched = [node_id for node_id in peers.patched if node_id != viewer.node_id]
        removed = [node_id for node_id in peers.removed if node_id != viewer.node_id]
        members = [b'"Node":' + own] if own else []
        if difference.relays or difference.uncertain is not None:
            members += renderer.derp_members(pins=viewer.encoding.pins)
        if removed:
            members.append(b'"PeersRemoved":' + orjson.dumps(removed))
        if whole:
            nodes = (renderer.fragment(class_, node_id, legacy=viewer.encoding.legacy).json for node_id in whole)
            members.append(b'"PeersChanged":[' + b",".join(nodes) + b"]")
        if patched:
            members.append(b'"PeersChangedPatch":[' + b",".join(map(self._patch, patched)) + b"]")
        if dns is not None:
            members.append(b'"DNSConfig":' + dns)
        owners = {view.node(node_id).owner for node_id in whole} | self._changed_owners(viewer, class_, own)
        if owners:
            members.append(b'"UserProfiles":' + renderer.profiles_json(owners))
        if rules is not None:
            members.append(b'"PacketFilters":{"base":' + rules + b"}")
        if ssh is not None:
            members.append(b'"SSHPolicy":' + ssh_json(ssh))
        members += notices
        return b"{" + b",".join(members) + b"}" if members else b""

    def _patch(self, node_id: int) -> bytes:
        text = self._patches.get(node_id)
        if text is None:
            change = self._difference.changes[node_id]
            assert isinstance(change, Patch)
            text = self._patches[node_id] = patch_json(self._difference.new.node(node_id), change)
        return text
