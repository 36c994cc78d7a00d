"""The machine key of the client behind a call, as gRPC metadata that only the gateway sets."""

from __future__ import annotations

from collections.abc import Iterable

from grpc.aio import ServicerContext

from services.shared.keys import KeyFormatError, MachineKey
from services.shared.rpc.calling import Q, R

MACHINE_KEY = "smartscale-machine-key"


class NoIdentityError(ValueError):
    """The call has no machine key, several, or an invalid one."""


def with_machine_key(key: MachineKey) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call made for a client."""
    return ((MACHINE_KEY, str(key)),)


def machine_key_of(context: ServicerContext[Q, R]) -> MachineKey:
    """Return the machine key, proved by Noise, of the client that a call is made for.

    Raises:
        NoIdentityError: there is no key; the call did not come through the tunnel.
    """
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    found = [value for name, value in metadata if name == MACHINE_KEY]
    if len(found) != 1 or not isinstance(found[0], str):
        raise NoIdentityError("a call for a client carries exactly one machine key")
    try:
        return MachineKey.parse(found[0])
    except KeyFormatError as error:
        raise NoIdentityError(str(error)) from None
