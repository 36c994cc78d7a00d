"""Departures: addresses that a node gave up, when, why, and who had them. Owns their indexes; knows no clock.

They keep a freed address from being given to another node too soon, and give a device that joins again what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.registry.model.name import base_label
from services.registry.model.node import Node
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey


class DepartureReason(IntEnum):
    """Why addresses became free; the numbers are those of `registry.v1.DepartureReason`."""

    UNKNOWN = 0
    DELETED = 1
    """An administrator deleted the node."""
    INACTIVE = 2
    """The node was ephemeral and away for too long."""
    LOGGED_OUT = 3
    """The node was ephemeral and its client logged out."""
    READDRESSED = 4
    """The node is still there and has other addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Addresses that became free, and the device that had them."""

    node_id: NodeId
    machine_key: MachineKey
    user_id: UserId
    tags: tuple[str, ...]
    hostname: str
    given_name: str
    given_name_fixed: bool
    ipv4: str
    """Empty: it had none, or has it still."""
    ipv6: str
    """Empty: it had none, or has it still."""
    reason: DepartureReason
    at: datetime

    @classmethod
    def of(cls, node: Node, reason: DepartureReason, at: datetime, new: Node | None = None) -> Departure:
        """Return the departure of a node from its addresses, except those that `new`, its next record, still has."""
        return cls(
            node_id=node.id,
            machine_key=node.machine_key,
            user_id=node.user_id,
            tags=node.tags,
            hostname=node.hostname,
            given_name=node.given_name,
            given_name_fixed=node.given_name_fixed,
            ipv4="" if new is not None and new.ipv4 == node.ipv4 else node.ipv4,
            ipv6="" if new is not None and new.ipv6 == node.ipv6 else node.ipv6,
            reason=reason,
            at=at,
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """The freed addresses."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address)

    @property
    def removed(self) -> bool:
        """True if the node itself is gone."""
        return self.reason is not DepartureReason.READDRESSED


_Device = tuple[MachineKey | str, UserId, tuple[str, ...]]


class Departures:
    """The departures of a tailnet, oldest first; the newest of each pair of addresses."""

    def __init__(self, departures: Iterable[Departure] = ()) -> None:
        self._all: dict[tuple[str, str], Departure] = {}
        self._of_address: dict[str, Departure] = {}
        self._of_device: dict[_Device, Departure] = {}
        self._of_machine: dict[MachineKey, Departure] = {}
        for departure in sorted(departures, key=lambda departure: departure.at):
            self.add(departure)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Departure]:
        return iter(self._all.values())

    def add(self, departure: Departure | None) -> None:
        """Add the newest departure; does nothing without one."""
        if departure is None:
            return
        key = departure.ipv4, departure.ipv6
        if (former := self._all.get(key)) is not None:
            self.remove(former)
        self._all[key] = departure
        for address in departure.addresses:
            self._of_address[address] = departure
        if departure.removed:
            self._of_machine[departure.machine_key] = departure
            for device in _devices(departure):
                self._of_device[device] = departure

    def remove(self, departure: Departure | None) -> None:
        """Remove a departure; does nothing without one, or if a newer one has replaced it."""
        if departure is None or self._all.get((departure.ipv4, departure.ipv6)) is not departure:
            return
        del self._all[departure.ipv4, departure.ipv6]
        for address in departure.addresses:
            if self._of_address.get(address) is departure:
                del self._of_address[address]
        for device in _devices(departure):
            if self._of_device.get(device) is departure:
                del self._of_device[device]
        if self._of_machine.get(departure.machine_key) is departure:
            del self._of_machine[departure.machine_key]

    def trim(self, before: datetime, at_most: int) -> None:
        """Remove the departures before a time, and the oldest beyond a number."""
        surplus = len(self) - at_most
        old = [one for number, one in enumerate(self) if number < surplus or one.at < before]
        for departure in old:
            self.remove(departure)

    def freed_after(self, address: str, moment: datetime) -> bool:
        """Return whether an address became free after a moment."""
        found = self._of_address.get(address)
        return found is not None and found.at > moment

    def after(self, moment: datetime) -> list[Departure]:
        """Return the departures after a moment, newest first."""
        found = []
        for departure in reversed(self._all.values()):
            if departure.at <= moment:
                break
            found.append(departure)
        return found

    def of_machine(self, machine_key: MachineKey) -> Departure | None:
        """Return the newest departure of a removed node of this machine, whoever owned it."""
        return self._of_machine.get(machine_key)

    def of_device(
        self, machine_key: MachineKey, hostname: str, user_id: UserId, tags: tuple[str, ...]
    ) -> Departure | None:
        """Return the newest departure of an owner's removed node: of the same machine, else of the same hostname."""
        by_machine = self._of_device.get((machine_key, user_id, tags))
        return by_machine or self._of_device.get((base_label(hostname), user_id, tags))


def _devices(departure: Departure) -> tuple[_Device, _Device]:
    owner = departure.user_id, departure.tags
    return (departure.machine_key, *owner), (base_label(departure.hostname), *owner)
