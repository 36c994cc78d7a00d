"""Facts of the registry as `Change` messages, with the departure of a node beside them."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.model.departure import Departure, DepartureReason
from services.registry.model.fact import (
    Fact,
    NodePut,
    NodeRemoved,
    RelayPut,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRemoved,
)
from services.registry.wire import (
    from_timestamp,
    node_from_proto,
    node_to_proto,
    relay_from_proto,
    relay_to_proto,
    to_timestamp,
    user_from_proto,
    user_to_proto,
)
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.keys import MachineKey
from services.shared.tailnet_settings import TailnetSettings


def _add_departure(change: pb.Change, departure: Departure | None) -> None:
    if departure is None:
        return
    change.departure.CopyFrom(
        pb.Departure(
            node_id=departure.node_id,
            machine_key=departure.machine_key.raw,
            user_id=departure.user_id,
            tags=departure.tags,
            hostname=departure.hostname,
            given_name=departure.given_name,
            given_name_fixed=departure.given_name_fixed,
            ipv4=departure.ipv4,
            ipv6=departure.ipv6,
            reason=pb.DepartureReason.ValueType(int(departure.reason)),
            at=to_timestamp(departure.at),
        )
    )


def _departure_of(change: pb.Change) -> Departure | None:
    if not change.HasField("departure"):
        return None
    message = change.departure
    return Departure(
        node_id=NodeId(message.node_id),
        machine_key=MachineKey(message.machine_key),
        user_id=UserId(message.user_id),
        tags=tuple(message.tags),
        hostname=message.hostname,
        given_name=message.given_name,
        given_name_fixed=message.given_name_fixed,
        ipv4=message.ipv4,
        ipv6=message.ipv6,
        reason=DepartureReason(message.reason),
        at=from_timestamp(message.at),
    )


class ProtoFactCodec:
    """Codec of facts as `Change` messages, which the log stores and the bus carries."""

    def __init__(self, tailnet: TailnetId) -> None:
        self._tailnet = tailnet

    def encode(self, seq: int, time: datetime, fact: Fact) -> bytes:
        """Return the payload of one change."""
        change = pb.Change(seq=seq, time=to_timestamp(time))
        match fact:
            case NodePut(node, freed):
                change.node_put.CopyFrom(node_to_proto(node, self._tailnet))
                _add_departure(change, freed)
            case NodeRemoved(node_id, freed):
                change.node_removed = node_id
                _add_departure(change, freed)
            case UserPut(user):
                change.user_put.CopyFrom(user_to_proto(user, self._tailnet))
            case UserRemoved(user_id):
                change.user_removed = user_id
            case RelayPut(relay):
                change.relay_put.CopyFrom(relay_to_proto(relay))
            case RelayRemoved(name):
                change.relay_removed = name
            case SettingsPut(settings):
                change.settings_put = settings.to_bytes()
            case _:
                assert_never(fact)
        return change.SerializeToString()

    def decode(self, payload: bytes) -> Fact:
        """Decode the fact of a payload.

        Raises:
            ValueError: the kind of change is unknown, because a newer release wrote it.
        """
        change = pb.Change.FromString(payload)
        kind = change.WhichOneof("fact")
        if kind == "node_put":
            return NodePut(node_from_proto(change.node_put), _departure_of(change))
        if kind == "node_removed":
            return NodeRemoved(NodeId(change.node_removed), _departure_of(change))
        if kind == "user_put":
            return UserPut(user_from_proto(change.user_put))
        if kind == "user_removed":
            return UserRemoved(UserId(change.user_removed))
        if kind == "relay_put":
            return RelayPut(relay_from_proto(change.relay_put))
        if kind == "relay_removed":
            return RelayRemoved(change.relay_removed)
        if kind == "settings_put":
            return SettingsPut(TailnetSettings.from_bytes(change.settings_put))
        raise ValueError("the change log has a kind of change that this version does not know")
