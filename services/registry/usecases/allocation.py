"""Allocates a node's stable id, addresses and given name, from what is free in the state. Stores nothing."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from services.registry.model.address import Pool, Random, at_random, sequential
from services.registry.model.departure import Departure
from services.registry.model.errors import ExhaustedError
from services.registry.model.name import base_label, free_label
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.settings import RegistrySettings
from services.shared.ids import NodeId

_STABLE = string.ascii_letters + string.digits


def new_stable_id() -> str:
    """Return a random stable id in the hosted service's form."""
    return "n" + "".join(secrets.choice(_STABLE) for _ in range(12)) + "CNTRL"


class Allocator:
    """Allocator of free addresses and names in a state."""

    def __init__(self, settings: RegistrySettings, random: Random | None = None) -> None:
        self._settings = settings
        self._random: Random = random or secrets.SystemRandom()
        self._given: dict[str, str] = {}
        """The address given last of each pool of the policy: only where a search begins, so it may be forgotten."""

    def ipv4(self, state: State, now: datetime, pools: Sequence[str] = (), kept: Sequence[str] = ()) -> str:
        """Return a free IPv4 address; empty if the tailnet has no IPv4 prefix.

        With `pools` it is from the first of these prefixes that has one. `kept` are prefixes that the policy reserves
        for its targets: other nodes get an address there only if there is none elsewhere.

        Raises:
            ExhaustedError: all are assigned.
        """
        whole = self._settings.v4
        if whole is None:
            return ""
        if pools:
            return self._of_policy(state, now, pools)
        if not kept:
            return self._address(state, now, whole, state.last_v4)
        outside = whole.without(kept)
        try:
            return self._address(state, now, outside, _last_outside(state, outside))
        except ExhaustedError:
            return self._address(state, now, whole, state.last_v4)

    def _of_policy(self, state: State, now: datetime, pools: Sequence[str]) -> str:
        found = [Pool.of(prefix) for prefix in pools]
        for pool in found:
            with suppress(ExhaustedError):
                given = self._address(state, now, pool, self._given.get(pool.prefix, ""))
                self._given[pool.prefix] = given
                return given
        quarantined = [one for pool in found for one in self._quarantined(state, now, pool)]
        text = f"no address is left in the policy's ipPool {', '.join(pools)}"
        raise ExhaustedError(text + self._next_free(quarantined, now))

    def ipv6(self, state: State, now: datetime) -> str:
        """Return a free IPv6 address; empty if the tailnet has no IPv6 prefix.

        Raises:
            ExhaustedError: all are assigned.
        """
        return self._address(state, now, self._settings.v6, state.last_v6)

    def name(self, state: State, hostname: str, node_id: NodeId) -> str:
        """Return a free given name for a hostname."""
        return free_label(hostname, lambda label: state.name_holder(label) not in (None, node_id), state.name_hints)

    def rename(self, state: State, node: Node, hostname: str) -> str:
        """Return the given name after a change of hostname: unchanged if it still follows from the hostname."""
        if node.given_name_fixed or base_label(node.hostname) == base_label(hostname):
            return node.given_name
        return self.name(state, hostname, node.id)

    def former(self, state: State, request: Node) -> Departure | None:
        """Return the departure of the device that joins as this new node, if it had a node of the same owner."""
        return state.departures.of_device(request.machine_key, request.hostname, request.user_id, request.tags)

    def former_ipv4(self, state: State, former: Departure, pools: Sequence[str], kept: Sequence[str]) -> str:
        """Return the IPv4 address that a device had, if it is free and still one for it; else empty."""
        text = former.ipv4
        if not _is_free(state, self._settings.v4, text):
            return ""
        allowed = any(Pool.of(prefix).gives(text) for prefix in pools)
        return text if allowed or (not pools and not any(Pool.of(prefix).gives(text) for prefix in kept)) else ""

    def former_ipv6(self, state: State, former: Departure) -> str:
        """Return the IPv6 address that a device had, if it is free; else empty."""
        return former.ipv6 if _is_free(state, self._settings.v6, former.ipv6) else ""

    def _address(self, state: State, now: datetime, pool: Pool | None, last: str) -> str:
        if pool is None:
            return ""
        moment = now - self._settings.address_quarantine

        def is_taken(address: str) -> bool:
            return state.is_assigned(address) or state.departures.freed_after(address, moment)

        unavailable = self._unavailable(state, now, pool)
        try:
            if self._settings.random_addresses:
                return at_random(pool, is_taken, unavailable, self._random)
            return sequential(pool, is_taken, unavailable, last)
        except ExhaustedError as error:
            quarantined = self._quarantined(state, now, pool)
            raise ExhaustedError(str(error) + self._next_free(quarantined, now)) from None

    def _unavailable(self, state: State, now: datetime, pool: Pool) -> int:
        """Return an upper bound of a pool's addresses that cannot be given out; exact if the pool may be full."""
        bound = len(state.nodes) + len(state.departures)
        if bound < pool.size:
            return bound
        assigned = sum(1 for address in state.assigned() if pool.gives(address))
        return assigned + len({_freed_address(one, pool) for one in self._quarantined(state, now, pool)})

    def _quarantined(self, state: State, now: datetime, pool: Pool) -> list[Departure]:
        """Return the departures whose quarantine holds back an address of a pool, newest first."""
        found = state.departures.after(now - self._settings.address_quarantine)
        return [one for one in found if _is_quarantined(state, _freed_address(one, pool), pool)]

    def _next_free(self, quarantined: Sequence[Departure], now: datetime) -> str:
        if not quarantined:
            return ""
        seconds = int((quarantined[-1].at + self._settings.address_quarantine - now).total_seconds()) + 1
        return f"; one that was freed recently can be assigned in {seconds} s (node.address_quarantine)"


def _freed_address(departure: Departure, pool: Pool) -> str:
    """Return the freed address of the pool's family; may be empty."""
    return departure.ipv6 if pool.is_v6 else departure.ipv4


def _is_quarantined(state: State, address: str, pool: Pool) -> bool:
    return bool(address) and not state.is_assigned(address) and pool.gives(address)


def _is_free(state: State, pool: Pool | None, address: str) -> bool:
    return bool(address) and pool is not None and pool.gives(address) and not state.is_assigned(address)


def _last_outside(state: State, pool: Pool) -> str:
    """Return the address of the newest node with one in this pool."""
    if state.last_v4 and pool.gives(state.last_v4):
        return state.last_v4
    found = ((node.id, node.ipv4) for node in state.nodes.values() if node.ipv4 and pool.gives(node.ipv4))
    return max(found, default=(0, ""))[1]
