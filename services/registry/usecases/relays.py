"""Announcements of relays: stored, and recorded as a change if new. The keeper removes relays without announcements."""

from __future__ import annotations

from services.registry.model.relay import Relay, check_relay
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger


class Relays:
    """Use case of relay announcements."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def announce(self, relay: Relay) -> None:
        """Store a relay's announcement; record a change only if the relay is new or different.

        Raises:
            InvalidInputError: a field cannot be put into a DERP map.
        """
        check_relay(relay)

        async def write(draft: Draft) -> None:
            draft.put_relay(relay)
            await draft.transaction.hear_relay(relay.name, draft.now)

        await self._ledger.commit(write)
