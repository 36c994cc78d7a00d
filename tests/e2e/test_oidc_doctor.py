"""`headscale oidc doctor` at providers that others wrote: what is well is not called ill, and what is ill is found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.providers import CLIENT_ID, CLIENT_SECRET, PEOPLE, Canaille, Mock, Panva, Provider
from tests.e2e.waiting import wait_for
from tests.fakes.certificates import issue

pytestmark = pytest.mark.e2e

OURS = "https://localhost:9"
"""Where nothing listens: only the provider is of interest here."""


class Lone:
    """A provider on loopback, behind TLS of a private authority."""

    def __init__(self, kind: type[Provider], folder: Path) -> None:
        self._folder = folder
        root = issue("an authority", authority=True)
        own = issue("127.0.0.1", by=root)
        (folder / "root.pem").write_bytes(root.pem())
        (folder / "server.pem").write_bytes(own.pem())
        key = own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "server.key").write_bytes(key)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        self.issuer = f"https://127.0.0.1:{port}{kind.prefix}"
        settings = {
            "kind": kind.__name__.lower(),
            "listen": ["127.0.0.1", port],
            "prefix": kind.prefix,
            "issuer": self.issuer,
            "key": str(folder / "server.key"),
            "cert": str(folder / "server.pem"),
            "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect": f"{OURS}/oidc/callback"},
            "people": PEOPLE,
        }
        (folder / "provider.json").write_text(json.dumps(settings))
        self._out = folder / "provider.out"
        program = [*kind.__new__(kind)._program(), str(folder / "provider.json")]
        with self._out.open("w") as out:
            self.process = subprocess.Popen(program, stdout=out, stderr=subprocess.STDOUT)
        wait_for("the provider listens", self._listening, 60)

    def _listening(self) -> bool:
        said = self._out.read_text()
        assert self.process.poll() is None, said[-3000:]
        return "listening" in said

    def doctor(self, server: str = OURS, **over: str) -> dict[str, dict[str, Any]]:
        """The worst finding of each check about the provider."""
        oidc = {
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "ca_path": str(self._folder / "root.pem"),
            **over,
        }
        file = self._folder / "config.yaml"
        file.write_text(json.dumps({"server_url": server, "state_dir": str(self._folder), "oidc": oidc}))
        done = subprocess.run(
            [sys.executable, "-m", "cli", "-c", str(file), "oidc", "doctor", "--json"],
            capture_output=True, text=True, timeout=120, env={"HOME": str(self._folder), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        found = [one for one in json.loads(done.stdout)["findings"] if one["subject"] == "oidc"]
        found.sort(key=lambda one: ["SKIP", "OK", "WARN", "FAIL"].index(one["level"]))
        return {one["check"]: one for one in found}


@pytest.fixture(params=[Panva, Canaille, Mock])
def lone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lone]:
    if missing := request.param.missing():
        pytest.skip(missing)
    provider = Lone(request.param, tmp_path)
    try:
        yield provider
    finally:
        provider.process.terminate()
        provider.process.wait(30)


def test_a_provider_is_judged_as_it_is(lone: Lone, request: pytest.FixtureRequest) -> None:
    well = lone.doctor()
    assert not [one for one in well.values() if one["level"] == "FAIL"]
    assert well["credentials"]["level"] == well["redirect-url"]["level"] == well["keys"]["level"] == "OK"
    assert lone.doctor(ca_path="")["tls-certificate"]["level"] == "FAIL"
    if request.node.callspec.params["lone"] is Mock:  # which takes any client, secret and redirect URL
        assert well["issuer"]["level"] == "WARN"
        return
    assert well["issuer"]["level"] == "OK"
    assert lone.doctor(client_secret="wrong")["credentials"]["level"] == "FAIL"
    assert lone.doctor(client_id="nobody")["redirect-url"]["level"] == "FAIL"
    assert lone.doctor(server="https://else.example")["redirect-url"]["level"] == "FAIL"
    assert lone.doctor(issuer=lone.issuer + "/x")["discovery"]["level"] == "FAIL"
