"""Finds the check that the policy requires before an SSH session. Knows no approvals; auth has them."""

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
    """Return the check for a session to a node of this machine, or None.

    Raises:
        TimeoutError: none is known here, and registry or policy did not answer whether there is one by now.
    """
    tailnet.fold_in()
    if (found := _find(tailnet, machine, source_id, destination_id, local_user)) is not None:
        return found
    # Another replica may have sent the client a rule or a node that has not arrived here yet.
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
    return tailnet.view.visibility.ssh_check(source_id, destination_id, local_user)
