"""A browser in front of the gateway's pages, the whole control plane and a provider."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from tests.fakes.device import Device
from tests.fakes.provider import Provider
from tests.fakes.tailnet import Tailnet

PUBLIC = "http://127.0.0.1:8080"
ALICE = {"sub": "a", "email": "alice@example.com", "email_verified": True, "groups": ["dev"], "name": "Alice"}
BOB = {"sub": "b", "email": "bob@example.com", "email_verified": True, "groups": [], "name": "Bob"}


@dataclass
class World:
    """A control plane and its provider."""

    tailnet: Tailnet
    provider: Provider

    def browser(self) -> httpx.AsyncClient:
        """A new browser that follows nothing by itself."""
        return httpx.AsyncClient(base_url=self.tailnet.url)

    async def wait(self, hostname: str) -> tuple[Device, str, asyncio.Task[dict[str, object]]]:
        """A device that waits for its person, and the path of its page."""
        device = await self.tailnet.device(hostname).connect()
        url = (await device.register())["AuthURL"]
        return device, urlsplit(url).path, asyncio.create_task(device.register(Followup=url))

    async def to_confirm(self, browser: httpx.AsyncClient, path: str) -> tuple[str, httpx.Response]:
        """Press the button, sign in, come back: the page that asks."""
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        assert started.status_code == 303
        back = self.provider.authorize(started.headers["location"])
        answer = await browser.get("/oidc/callback", params=back)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/oidc/confirm/")
        return answer.headers["location"], await browser.get(answer.headers["location"])

    async def join(self, hostname: str, person: dict[str, object]) -> Device:
        """A device whose person signs in and says yes."""
        self.provider.person = person
        device, path, waiting = await self.wait(hostname)
        async with self.browser() as browser:
            where, page = await self.to_confirm(browser, path)
            done = await browser.post(where, data={"confirmation": confirmation_of(page), "answer": "yes"})
            assert done.status_code == 303 and done.headers["location"] == where
            assert "Your device is connected" in (await browser.get(where)).text
        assert (await asyncio.wait_for(waiting, 10))["MachineAuthorized"]
        assert await device.open_map() == 200
        await device.until(lambda: device.netmap.node is not None)
        return device


def confirmation_of(page: httpx.Response) -> str:
    found = re.search(r'name="confirmation" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found.group(1)
