"""Calls about the stored settings of a tailnet and its DNS."""

from __future__ import annotations

from grpc.aio import ServicerContext
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.rpc import dns, settings
from services.registry.rpc.calls import STATUS, Calls
from services.shared.rpc import answers


@answers(STATUS)
class SettingCalls(Calls):
    """Settings and DNS."""

    async def GetSettings(
        self, request: pb.GetSettingsRequest, context: ServicerContext[pb.GetSettingsRequest, pb.GetSettingsResponse]
    ) -> pb.GetSettingsResponse:
        """Return the settings in force."""
        return pb.GetSettingsResponse(settings=settings.to_proto(await self._cases.settings.get()))

    async def ChangeSettings(
        self,
        request: pb.ChangeSettingsRequest,
        context: ServicerContext[pb.ChangeSettingsRequest, pb.ChangeSettingsResponse],
    ) -> pb.ChangeSettingsResponse:
        """Store settings."""
        found = await self._cases.settings.change(settings.read_change(request.change))
        return pb.ChangeSettingsResponse(settings=settings.to_proto(found))

    async def GetDns(
        self, request: pb.GetDnsRequest, context: ServicerContext[pb.GetDnsRequest, pb.GetDnsResponse]
    ) -> pb.GetDnsResponse:
        """Return the DNS configuration in force."""
        return pb.GetDnsResponse(dns=dns.to_proto(await self._cases.dns.get()))

    async def ChangeDns(
        self, request: pb.ChangeDnsRequest, context: ServicerContext[pb.ChangeDnsRequest, pb.ChangeDnsResponse]
    ) -> pb.ChangeDnsResponse:
        """Store parts of the DNS configuration."""
        return pb.ChangeDnsResponse(dns=dns.to_proto(await self._cases.dns.change(dns.read_change(request.change))))
