"""A tailnet, a provider on loopback, a device that waits and its person's browser, at the auth service's own calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.config.login import OidcConfig
from tests.fakes.auth import AuthTailnet, Client, config_for
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback

DONE, REFUSED, CONFIRMING = pb.SIGN_IN_STATE_DONE, pb.SIGN_IN_STATE_REFUSED, pb.SIGN_IN_STATE_CONFIRMING
ALICE = {"sub": "s1", "email": "alice@example.com", "email_verified": True, "groups": ["dev"], "name": "Alice"}


@dataclass
class Lab:
    """A tailnet, its provider, and a device that waits."""

    tailnet: AuthTailnet
    provider: Provider
    folder: Path
    oidc: OidcConfig
    device: Client = field(init=False)
    auth_id: str = ""
    url: str = ""

    async def begin(self, instances: int = 1, **settings: Any) -> None:
        """Start the service with these settings of `oidc`, and a device."""
        self.tailnet.config = replace(self.tailnet.config, oidc=replace(self.oidc, **settings))
        for _ in range(instances):
            await self.tailnet.start_instance()
        await self.new_device()

    async def new_device(self) -> None:
        """A device asks to join."""
        self.device = self.tailnet.client()
        needed = (await self.device.register()).login_needed
        self.auth_id, self.url = needed.auth_id, needed.auth_url

    async def start(self, provider: str = "", address: str = "") -> pb.StartSignInResponse:
        """The person presses a button."""
        ask = pb.StartSignInRequest(auth_id=self.auth_id, provider=provider, remote_address=address)
        return await self.tailnet.stubs[0].StartSignIn(ask)

    async def finish(self, secret: str, parameters: dict[str, str], instance: int = -1) -> pb.SignIn:
        """The provider sends the person back."""
        request = pb.FinishSignInRequest(browser_secret=secret, **parameters)
        return (await self.answer(request, instance)).sign_in

    async def answer(self, request: pb.FinishSignInRequest, instance: int = -1) -> pb.FinishSignInResponse:
        """The same, as the gateway hears it."""
        return await self.tailnet.stubs[instance].FinishSignIn(request)

    async def come_back(self, **over: Any) -> tuple[pb.StartSignInResponse, pb.SignIn]:
        """Button, provider, and back."""
        started = await self.start()
        parameters = {**self.provider.authorize(started.authorization_url), **over}
        given = {name: value for name, value in parameters.items() if value is not None}
        return started, await self.finish(started.browser_secret, given)

    async def confirm(self, started: pb.StartSignInResponse, shown: pb.SignIn, approve: bool = True) -> pb.SignIn:
        """The person answers the page."""
        request = pb.ConfirmSignInRequest(
            flow_id=shown.flow_id,
            browser_secret=started.browser_secret,
            confirmation=shown.confirmation,
            approve=approve,
        )
        return (await self.tailnet.stubs[-1].ConfirmSignIn(request)).sign_in


@asynccontextmanager
async def lab_in(folder: Path) -> AsyncIterator[Lab]:
    """Everything but an instance of the service: `begin` starts one."""
    tailnet = AuthTailnet(config_for(folder))
    async with provider_on_loopback(tailnet.clock) as provider:
        oidc = OidcConfig(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET)
        provider.person = dict(ALICE)
        try:
            yield Lab(tailnet, provider, folder, oidc)
        finally:
            for service in tailnet.services:
                await service.stop()
            await tailnet.bus.close()
