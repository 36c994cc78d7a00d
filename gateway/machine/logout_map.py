"""The map that logs out a device that is not in the tailnet, so that its user can sign in again. Owns the bytes.

A client whose map request is refused keeps its state and retries without end: `tailscale status` shows it offline, and
`tailscale up` prints nothing. A map whose own node has a key that ended in the past makes it log out, and the next
`tailscale up` registers. The stream then stays open, because a client whose stream ends at once requests 46 maps a
second. Anybody may request it, so the number of these streams is bounded.
"""

from __future__ import annotations

import zstandard

from gateway.machine.session import MapSession, MapSessionRequest
from services.shared.keys import DiscoKey, MachineKey
from services.shared.tailcfg.display_message import DisplayMessage, all_messages
from services.shared.tailcfg.node import MapNode, encode_node

MAX_OPEN = 1024
"""Maximum number of open streams with such a map; beyond it, and beyond one per machine, requests get a 404."""

_PLACEHOLDER_ADDRESS = "100.64.0.99/32"
"""A client processes the rest of a map only if its node has an address; nothing is ever sent to this one."""

_OWNER = b'{"ID":1,"LoginName":"unknown","DisplayName":"Unknown"}'
"""The profile of the node's owner: each owner must have one."""

_UNKNOWN = "This server has no such device: it was deleted, or it has never been here."


def logout_map(request: MapSessionRequest, contact: str = "") -> bytes:
    """Return a map response with a node whose key ended in 2000, in the encoding of the request.

    It says why to the person at the device, and to ask `contact`; empty: the administrator.
    """
    node: MapNode = {
        "ID": 1,
        "StableID": "gone",
        "Name": "gone.",
        "User": 1,
        "Key": str(request.node_key),
        "KeyExpiry": "2000-01-01T00:00:00Z",
        "Machine": str(request.machine_key),
        "DiscoKey": str(DiscoKey.zero()),
        "Addresses": [_PLACEHOLDER_ADDRESS],
        "AllowedIPs": [_PLACEHOLDER_ADDRESS],
        "Created": "2000-01-01T00:00:00Z",
        "Hostinfo": {},
        "MachineAuthorized": True,
    }
    members = encode_node(node), _OWNER, _shown(_UNKNOWN, request, contact)
    return _packed(b'{"Node":%b,"UserProfiles":[%b],%b}' % members, request)


def departure_message(request: MapSessionRequest, contact: str, sentence: str) -> bytes:
    """Return a later map response of the same stream, with the reason in the place of the general one."""
    return _packed(b"{%b}" % _shown(sentence, request, contact), request)


def _shown(sentence: str, request: MapSessionRequest, contact: str) -> bytes:
    text = f"{sentence} To join (again): tailscale up. In doubt ask {contact or 'the administrator'}."
    shown = {"deleted": DisplayMessage("Device is not in this tailnet", text, "high", impacts_connectivity=True)}
    return all_messages(shown, request.cap_version)


def _packed(message: bytes, request: MapSessionRequest) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(message) if request.zstd else message


class DismissedSessions:
    """The sessions that were sent such a map: at most one of each machine, and a bounded number of all."""

    def __init__(self, most: int = MAX_OPEN) -> None:
        self._most = most
        self._open: dict[MachineKey, MapSession] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, session: MapSession) -> bool:
        """Count a dismissed session. Returns False if its machine has one, or too many are open."""
        machine = session.request.machine_key
        if machine in self._open or len(self._open) >= self._most:
            return False
        self._open[machine] = session
        return True

    def remove(self, session: MapSession) -> None:
        """Remove a session that has ended; does nothing for others."""
        if self._open.get(session.request.machine_key) is session:
            del self._open[session.request.machine_key]
