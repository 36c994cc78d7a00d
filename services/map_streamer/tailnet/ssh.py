"""Says which check of the policy an SSH session needs. Whether a person has vouched for it is not known here."""

from __future__ import annotations

import asyncio

import grpc.aio

from services.map_streamer.tailnet.tailnet import Tailnet
from services.shared.access.ssh import SshCheck
from services.shared.keys import MachineKey

LOOKUP_DEADLINE = 2.0


async def find_ssh_check(
    tailnet: Tailnet, machine: MachineKey, source_id: int, destination_id: int, local_user: str
) -> SshCheck | None:
    """The check for a session to a node of this machine; None when there is none, whatever the reason.

    Raises:
        TimeoutError: there is none here, and nobody could say whether there is one by now.
    """
    tailnet.fold_in()
    if (found := _find(tailnet, machine, source_id, destination_id, local_user)) is not None:
        return found
    # Another replica may have told the client of a rule or of a node that is still on its way here.
    try:
        async with asyncio.timeout(LOOKUP_DEADLINE):
            await tailnet.refresh()
    except grpc.aio.AioRpcError:
        raise TimeoutError from None
    tailnet.fold_in()
    return _find(tailnet, machine, source_id, destination_id, local_user)


def _find(
    tailnet: Tailnet, machine: MachineKey, source_id: int, destination_id: int, local_user: str
) -> SshCheck | None:
    destination = tailnet.view.snapshot.nodes.get(destination_id)
    if destination is None or destination.machine_key != machine.raw:
        return None
    return tailnet.view.sight.ssh_check(source_id, destination_id, local_user)
