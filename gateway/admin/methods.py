"""The table of administration calls: contract, handler, scope. The chain finds a call here, by its full name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.admin.context import CallContext
from gateway.admin.scopes import SCOPES
from services.shared.scopes import READ

Handler: TypeAlias = "Callable[[Any, CallContext], Awaitable[Message]]"


@dataclass(frozen=True, slots=True)
class Method:
    """One call of the contract, and the handler that makes it."""

    contract: MethodDescriptor
    handler: Handler
    scopes: tuple[str, ...]
    """Scopes of which a credential needs one; none: every credential may make it."""

    @property
    def name(self) -> str:
        """Name within its service, such as `ListNodes`."""
        return str(self.contract.name)

    @property
    def service(self) -> str:
        """Full name of its service, such as `headscale.v1.HeadscaleService`."""
        return str(self.contract.containing_service.full_name)

    @property
    def changes(self) -> bool:
        """True if it may change anything: unless its contract says that it does not, or a reading scope is enough."""
        reads = self.contract.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        return not reads and any(not scope.endswith(READ) for scope in self.scopes)

    @property
    def request(self) -> type[Message]:
        """Class of its requests."""
        return GetMessageClass(self.contract.input_type)

    @property
    def response(self) -> type[Message]:
        """Class of its answers."""
        return GetMessageClass(self.contract.output_type)


Methods: TypeAlias = "Mapping[str, Method]"
"""Calls by the full name of their contract, such as `headscale.v1.HeadscaleService.ListNodes`."""


def methods_of(service: ServiceDescriptor, nouns: Iterable[object]) -> dict[str, Method]:
    """Find the handler of each call of a service: the method of its name on exactly one of `nouns`.

    Raises:
        LookupError: a call has no handler, or several, or no scope.
    """
    found: dict[str, Method] = {}
    candidates = tuple(nouns)
    for contract in service.methods:
        handlers = [getattr(noun, contract.name) for noun in candidates if hasattr(noun, contract.name)]
        if len(handlers) != 1:
            raise LookupError(f"{contract.full_name} has {len(handlers)} handlers")
        if contract.full_name not in SCOPES:
            raise LookupError(f"{contract.full_name} has no scope")
        found[contract.full_name] = Method(contract, handlers[0], SCOPES[contract.full_name])
    return found
