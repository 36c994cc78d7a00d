"""The identity of a client on its way between our processes: metadata that only the gateway sets."""

from __future__ import annotations

from collections.abc import Iterable

from grpc.aio import ServicerContext

from services.shared.keys import KeyFormatError, MachineKey
from services.shared.rpc.calling import Q, R

MACHINE_KEY = "smartscale-machine-key"


class NoIdentityError(ValueError):
    """The call carries no machine key, more than one, or a bad one."""


def with_machine_key(key: MachineKey) -> tuple[tuple[str, str], ...]:
    """Metadata that says which client a call is made for."""
    return ((MACHINE_KEY, str(key)),)


def machine_key_of(context: ServicerContext[Q, R]) -> MachineKey:
    """The machine key that Noise proved for the client this call is made for.

    Raises:
        NoIdentityError: there is none; the call did not come through the tunnel.
    """
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    found = [value for name, value in metadata if name == MACHINE_KEY]
    if len(found) != 1 or not isinstance(found[0], str):
        raise NoIdentityError("a call for a client carries exactly one machine key")
    try:
        return MachineKey.parse(found[0])
    except KeyFormatError as error:
        raise NoIdentityError(str(error)) from None
