"""OpenID providers that others wrote, run in a lab over TLS, and how a person signs in at each."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.e2e.lab import PUBLIC_IP, SERVERS, Lab
from tests.e2e.provider_wsgi import PASSWORD
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

APP = "/api/oidc/app-7f3c"
CLIENT_ID, CLIENT_SECRET = "app-7f3c", "s3cret/+%&="
PEOPLE: Mapping[str, Mapping[str, object]] = {
    "alice": {
        "name": "Alice Martin",
        "preferred_username": "alice",
        "email": "alice@example.com",
        "email_verified": True,
        "groups": ["developers"],
    },
    "mallory": {
        "name": "Mallory",
        "preferred_username": "mallory",
        "email": "mallory@elsewhere.example",
        "email_verified": True,
        "groups": [],
    },
}
_HERE = Path(__file__).parent
_PANVA = _HERE / "panva"


class Provider:
    """One that runs on the servers' host; `folder` holds server.pem and server.key for it.

    It has another address than our server, so that browsers take the two for different sites.
    """

    port = 0
    prefix = ""
    settings: ClassVar[dict[str, object]] = {}
    """What our `oidc` must say besides issuer, client and certificate."""

    def __init__(
        self,
        net: Lab,
        folder: Path,
        redirect: str,
        people: Mapping[str, Mapping[str, object]] = PEOPLE,
        address: tuple[str, int] | None = None,
    ) -> None:
        host, port = address or (PUBLIC_IP, self.port)
        self.issuer = f"https://{host}:{port}{self.prefix}"
        file = folder / f"{type(self).__name__.lower()}.json"
        file.write_text(
            json.dumps(
                {
                    "kind": type(self).__name__.lower(),
                    "listen": [host, port],
                    "prefix": self.prefix,
                    "issuer": self.issuer,
                    "key": str(folder / "server.key"),
                    "cert": str(folder / "server.pem"),
                    "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect": redirect},
                    "people": people,
                }
            )
        )
        self.process = net.start(SERVERS, f"provider-{file.stem}", [*self._program(), str(file)])
        self.oidc = {
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "ca_path": str(folder / "server.pem"),
            "provider_name": type(self).__name__,
            "scope": ["openid", "profile", "email", "groups"],
            "allowed_domains": ["example.com"],
            **self.settings,
        }

    def wait(self) -> None:
        """Wait until it listens."""
        wait_for("the provider listens", self._listening, 30)

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be run here, or None."""
        raise NotImplementedError

    def sign_in(self, page: Page, login: str) -> None:
        """From its first page to the moment it sends the person back."""
        raise NotImplementedError

    def _program(self) -> list[str]:
        return [sys.executable, str(_HERE / "provider_wsgi.py")]

    def _listening(self) -> bool:
        assert self.process.running(), self.process.text()[-3000:]
        return "listening" in self.process.text()


class Panva(Provider):
    """oidc-provider from npm: the issuer has a path, PKCE is required, the answer names the issuer."""

    port = 4455
    prefix = APP

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be run here, or None."""
        if node() is None or shutil.which("npm") is None:
            return "node and npm are not installed"
        wanted, installed = _PANVA / "package-lock.json", _PANVA / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=_PANVA, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            if done.returncode:
                return f"npm could not install oidc-provider: {done.stderr.strip()[-300:]}"
        return None

    def sign_in(self, page: Page, login: str) -> None:
        """A name and a password, then consent."""
        page.get_by_placeholder("Enter any login").fill(login)
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()

    def _program(self) -> list[str]:
        program = node()
        assert program is not None
        return [program, str(_PANVA / "provider.mjs")]


class Canaille(Provider):
    """canaille from PyPI: no `email_verified`, `none` among its algorithms, a fractional `auth_time`."""

    port = 4456
    settings: ClassVar[dict[str, object]] = {"email_verified_required": False}

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be run here, or None."""
        return None if importlib.util.find_spec("canaille") else "canaille is not installed"

    def sign_in(self, page: Page, login: str) -> None:
        """A name, a password, then consent."""
        page.locator("input[name=login]").fill(login)
        page.locator("button[type=submit]").last.click()
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("button[type=submit]").last.click()
        page.locator("button[name=answer][value=accept]").click()


class Mock(Provider):
    """oidc-provider-mock from PyPI below a prefix: it calls itself by its origin, without the path."""

    port = 4457
    prefix = APP

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be run here, or None."""
        return None if importlib.util.find_spec("oidc_provider_mock") else "oidc-provider-mock is not installed"

    def sign_in(self, page: Page, login: str) -> None:
        """Just a name."""
        page.get_by_placeholder("sub").fill(login)
        page.get_by_role("button", name="Authorize").click()


def node() -> str | None:
    """The newest Node at hand: the browser driver brings one, which is younger than those of distributions."""
    spec = importlib.util.find_spec("playwright")
    bundled = Path(spec.origin).parent / "driver" / "node" if spec and spec.origin else None
    return str(bundled) if bundled is not None and bundled.exists() else shutil.which("node")
