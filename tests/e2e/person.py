"""A person with a browser of few words, curl and a cookie jar: each step on its own, at the gateway that is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.e2e.lab import SERVERS, Lab

_NUMBERS = count(1)


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    location: str
    body: str


class Person:
    """On the servers' host; `backends` are the gateways behind the address, to be chosen by number.

    `through` stands before its programs, as what gives it the files of a machine.
    """

    def __init__(self, net: Lab, backends: tuple[str, ...] = (), through: tuple[str, ...] = ()) -> None:
        self._net, self._backends, self._through = net, backends, through
        self._folder = net.folder / f"person-{next(_NUMBERS)}"
        self._folder.mkdir()

    def press(self, link: str, gateway: int | None = None) -> str:
        """Press the button of a device's page; where it leads."""
        return self._moved(self._ask(link.replace("/register/", "/oidc/start/"), gateway, "-d", ""))

    def sign_in(self, there: str, login: str) -> str:
        """Sign in at oidc-provider-mock; where it sends the person back to."""
        return self._moved(self._ask(there, None, "-d", f"sub={login}"))

    def come_back(self, callback: str, gateway: int | None = None) -> str:
        """Follow the provider's answer; where the question is."""
        return self._moved(self._ask(callback, gateway))

    def look(self, page: str, gateway: int | None = None) -> str:
        """Read a page."""
        return self._ask(page, gateway).body

    def confirm(self, page: str, text: str, gateway: int | None = None) -> None:
        """Answer the question, of which `text` is the page, with yes."""
        found = re.search(r'name="confirmation" value="([^"]+)"', text)
        assert found is not None, text
        self._moved(self._ask(page, gateway, "-d", f"confirmation={found[1]}", "-d", "answer=yes"))

    def _ask(self, url: str, gateway: int | None, *more: str) -> Answer:
        jar, body = str(self._folder / "cookies"), Path(self._folder / "body")
        chosen = [] if gateway is None else ["--connect-to", f"::{self._backends[gateway - 1]}"]
        said = self._net.exec(
            SERVERS, *self._through, "curl", "-sk", "-m", "20", "-b", jar, "-c", jar, "-o", str(body),
            "-w", "%{http_code} %{redirect_url}", *chosen, *more, url,
        )  # fmt: skip
        status, _, location = said.partition(" ")
        return Answer(int(status), location, body.read_text())

    def _moved(self, answer: Answer) -> str:
        assert answer.status in (302, 303), f"{answer.status}: {answer.body}"
        return answer.location
