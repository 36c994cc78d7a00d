"""A person in front of a real browser lets a real client in, at each of three providers that others wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.e2e import browser, clients, lab
from tests.e2e.alone import write_certificate
from tests.e2e.browser import person, picture
from tests.e2e.clients import Caddy
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, Lab
from tests.e2e.providers import Canaille, Mock, Panva, Provider
from tests.e2e.servers import Embedded
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

URL = f"https://{SERVER_IP}:8080"


DESK = "desk"
"""Where the browser is. The hosts of its clients come later, so it needs a namespace that they do not change."""
KINDS: tuple[type[Provider], ...] = (Panva, Canaille, Mock)


@dataclass
class Place:
    """A lab with providers, our server that trusts them, and a browser."""

    net: Lab
    providers: dict[type[Provider], Provider]
    server: Embedded
    browser: Browser
    certificate: Path
    _numbers: Iterator[int]

    def device(self) -> tuple[Caddy, str]:
        """A client that waits for its person, and the link that it shows."""
        name = f"laptop-{next(self._numbers)}"
        self.net.add_host(name)
        client = Caddy(self.net, name, name, URL)
        client.extra["SSL_CERT_FILE"] = str(self.certificate)
        client.start()
        return client, client.sign_in_url()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if reason := lab.missing() or clients.missing() or browser.missing():
        pytest.skip(reason)
    net = Lab(tmp_path_factory.mktemp("lab"))
    server = None
    try:
        certificate = write_certificate(net.folder, SERVER_IP, PUBLIC_IP)
        default, *others = [kind for kind in KINDS if kind.missing() is None] or [None]
        if default is None:
            pytest.skip("no provider can be run here")
        providers = {default: default(net, net.folder, f"{URL}/oidc/callback")}
        for kind in others:
            providers[kind] = kind(net, net.folder, f"{URL}/oidc/callback/{kind.__name__.lower()}")
        for provider in providers.values():
            provider.wait()
        trusted = {"trusted_domains": ["example.com"], "groups": {"allow": ["*"]}}
        further = {kind.__name__.lower(): {**providers[kind].oidc, **trusted} for kind in others}
        settings = {
            "server_url": URL,
            "tls_cert_path": str(certificate),
            "tls_key_path": str(net.folder / "server.key"),
            "oidc": {**providers[default].oidc, "providers": further},
        }
        server = Embedded(net, settings)
        net.add_host(DESK)
        with browser.chromium(net, DESK) as chromium:
            yield Place(net, providers, server, chromium, certificate, count(1))
        assert server.faults() == []
    finally:
        if server is not None:
            server.close()
        net.close()


@pytest.fixture(params=KINDS)
def provider(request: pytest.FixtureRequest, place: Place) -> Provider:
    """Each provider in turn."""
    if reason := request.param.missing():
        pytest.skip(reason)
    return place.providers[request.param]


@pytest.fixture
def panva(place: Place) -> Provider:
    """The one for what does not depend on the provider."""
    if reason := Panva.missing():
        pytest.skip(reason)
    return place.providers[Panva]


def to_provider(page: Page, link: str, provider: Provider) -> None:
    """Open the device's link and press the provider's button."""
    page.goto(link)
    press(page, f"Login with {type(provider).__name__}")


def heading(page: Page) -> str:
    """What the page says first."""
    return page.get_by_role("heading", level=1).inner_text()


def press(page: Page, name: str) -> None:
    """Press a button of ours."""
    page.get_by_role("button", name=name).click()


def test_from_the_link_to_a_client_that_is_connected(place: Place, provider: Provider) -> None:
    client, link = place.device()
    with person(place.browser) as profile:
        page = profile.new_page()
        page.goto(link)
        assert heading(page) == "Let this device in?"
        assert page.get_by_text(client.name, exact=True).is_visible()
        picture(page, "landing")
        press(page, f"Login with {type(provider).__name__}")
        provider.sign_in(page, "alice")
        assert heading(page) == "Is this your device?"
        assert "alice@example.com" in page.get_by_role("main").inner_text()
        picture(page, "confirm")
        assert "-> Running" not in client.log()
        page.reload()
        press(page, "Yes, connect my device")
        assert heading(page) == "Your device is connected"
        picture(page, "done")
        page.reload()
        assert heading(page) == "Your device is connected"
        client.wait_running()
        page.goto(link)
        assert heading(page) == "This device was already approved or refused"
        picture(page, "decided")
    node = place.server.nodes()[client.name]
    assert node["user"]["providerId"].endswith("/alice") and node["user"]["email"] == "alice@example.com"
    client.stop()


def test_who_may_not_enter_is_told_and_so_is_the_client(place: Place, panva: Provider) -> None:
    client, link = place.device()
    with person(place.browser) as profile:
        page = profile.new_page()
        to_provider(page, link, panva)
        panva.sign_in(page, "mallory")
        assert heading(page) == "This account may not enter"
        assert page.get_by_text("domain-not-allowed").is_visible()
        picture(page, "refused")
        wait_for("the client says why", lambda: "the domain of this account may not enter" in client.log() or None)
    client.stop()


def test_who_says_that_the_device_is_not_theirs_turns_it_away(place: Place, panva: Provider) -> None:
    client, link = place.device()
    with person(place.browser) as profile:
        page = profile.new_page()
        to_provider(page, link, panva)
        panva.sign_in(page, "alice")
        press(page, "No, this is not my device")
        assert heading(page) == "The device was refused"
        picture(page, "turned-away")
        wait_for("the client says why", lambda: "this is not their device" in client.log() or None)
        page.go_back()
        page.goto(link)
        assert heading(page) == "This device was already approved or refused"
    client.stop()


def test_what_may_go_better_next_time_leaves_the_client_waiting(place: Place, panva: Provider) -> None:
    client, link = place.device()
    with person(place.browser) as profile:
        page = profile.new_page()
        with page.expect_request("**/authorize?*") as asked:
            to_provider(page, link, panva)
        state = parse_qs(urlsplit(asked.value.url).query)["state"][0]
        page.goto(f"{URL}/oidc/callback?" + urlencode({"code": "spoiled", "state": state, "iss": panva.issuer}))
        assert heading(page) == "Sign-in did not work"
        assert page.get_by_text("code-refused").is_visible() and page.get_by_text("still waiting").is_visible()
        picture(page, "again")
        page.get_by_role("link", name="Try again").click()
        press(page, "Login with Panva")
        panva.sign_in(page, "alice")
        press(page, "Yes, connect my device")
        client.wait_running()
    client.stop()


def test_tabs_other_browsers_and_the_back_button_do_no_harm(place: Place, panva: Provider) -> None:
    client, link = place.device()
    with person(place.browser) as profile, person(place.browser) as stranger:
        one, two, other = profile.new_page(), profile.new_page(), stranger.new_page()
        to_provider(one, link, panva)
        to_provider(two, link, panva)
        panva.sign_in(two, "alice")
        other.goto(two.url)
        assert heading(other) == "This sign-in did not start in this browser"
        picture(other, "lost")
        one.goto(link)
        press(one, "Login with Panva")
        assert heading(one) == heading(two) == "Is this your device?"
        press(two, "Yes, connect my device")
        assert heading(two) == "Your device is connected"
        press(one, "Yes, connect my device")
        assert heading(one) == "Your device is connected"
        two.go_back()
        two.reload()
        assert heading(two) == "Your device is connected"
        client.wait_running()
    assert list(place.server.nodes()).count(client.name) == 1
    client.stop()
