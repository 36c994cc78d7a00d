"""smartscale.admin.v1: the DNS configuration of the tailnet."""

from __future__ import annotations

from smartscale.admin.v1 import dns_pb2 as pb
from smartscale.registry.v1 import registry_pb2

from gateway.admin.context import CallContext
from gateway.admin.services import Services


class Dns:
    """Calls about the DNS configuration."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetDns(self, request: pb.GetDnsRequest, call: CallContext) -> pb.GetDnsResponse:
        """Return the configuration in force."""
        answer = await call.ask(self._services.registry.GetDns, registry_pb2.GetDnsRequest())
        return pb.GetDnsResponse(dns=answer.dns)

    async def ChangeDns(self, request: pb.ChangeDnsRequest, call: CallContext) -> pb.ChangeDnsResponse:
        """Store parts of the configuration, or return them to those of the configuration file."""
        wanted = registry_pb2.ChangeDnsRequest(change=request.change)
        return pb.ChangeDnsResponse(dns=(await call.ask(self._services.registry.ChangeDns, wanted)).dns)
