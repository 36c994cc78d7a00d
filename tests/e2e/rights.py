"""What a change of somebody's rights does to two real clients, and how long it takes until they feel it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from smartscale.admin.v1 import user_pb2, user_pb2_grpc

from tests.e2e.alone import write_certificate
from tests.e2e.clients import Caddy, Client, Mihomo
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, SERVERS, Lab, Process
from tests.e2e.person import Person
from tests.e2e.providers import Mock
from tests.e2e.servers import Embedded, Server, Stack
from tests.e2e.waiting import wait_for

URL = f"https://{SERVER_IP}:8080"
IN_A_ROW = 12
"""Tries that must go the same way until a change counts as felt."""
POLICY = {"acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}


def person(login: str, *groups: str) -> dict[str, object]:
    """Somebody at the provider."""
    return {"name": login.title(), "email": f"{login}@example.com", "email_verified": True, "groups": list(groups)}


@dataclass(frozen=True)
class Try:
    """One connection that was tried."""

    start: float
    end: float
    went: bool


class Pair:
    """Alice's client tries again and again to reach Bob's; it may because the provider has her in `dev`."""

    def __init__(self, net: Lab, shape: type[Embedded] | type[Stack] = Embedded) -> None:
        self.net = net
        certificate = write_certificate(net.folder, SERVER_IP, PUBLIC_IP)
        self.provider = Mock(net, net.folder, f"{URL}/oidc/callback", {"alice": person("alice", "dev")})
        self.provider.wait()
        settings: dict[str, object] = {
            "server_url": URL,
            "tls_cert_path": str(certificate),
            "tls_key_path": str(net.folder / "server.key"),
            "oidc": self.provider.oidc,
        }
        self.server: Server = shape(net, settings)
        self._channel = grpc.insecure_channel(f"unix:{self.server.folder}/headscale.sock")
        self._people = user_pb2_grpc.UserAdminServiceStub(self._channel)
        self._logins = 0
        self._prober: Process | None = None
        policy = net.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        self.server.cli("policy", "set", "-f", str(policy))

    def start(self) -> None:
        """Join both and begin to try."""
        self.log_in("dev")
        bob = self._join(Caddy, "desk", self.server.auth_key("bob"))
        bob.wait_running()
        key = self.server.json("preauthkeys", "create", "--user", "alice@example.com")["key"]
        phone = self._join(Mihomo, "phone", str(key))
        address = str(self.server.nodes()["desk"]["ipAddresses"][0])
        wait_for("alice reaches bob", lambda: phone.fetch(f"http://{address}/", 5) or None, 60)
        program = str(Path(__file__).with_name("prober.py"))
        self._prober = self.net.start("phone", "prober", [sys.executable, program, address])
        self._steady(True, time.monotonic())

    def log_in(self, *groups: str) -> float:
        """Alice signs in somewhere with these groups; when the provider's answer was brought to us."""
        claims = json.dumps(person("alice", *groups))
        put = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", claims, f"{self.provider.issuer}/users/alice"]
        self.net.exec(SERVERS, "curl", "-skf", *put)
        self._logins += 1
        auth_id = f"hskey-authreq-{self._logins:024x}"
        self.server.cli("debug", "create-node", "-k", auth_id, "--name", f"more-{self._logins}", "-u", self._anybody())
        somebody = Person(self.net)
        back = somebody.sign_in(somebody.press(f"{URL}/register/{auth_id}"), "alice")
        began = time.monotonic()
        somebody.come_back(back)
        return began

    def suspend(self, user: str) -> float:
        """As `users suspend` does; when it was asked for."""
        return self._say(lambda: self._people.SuspendUser(user_pb2.SuspendUserRequest(user=user), timeout=20))

    def restore(self, user: str) -> float:
        """As `users restore` does; when it was asked for."""
        return self._say(lambda: self._people.RestoreUser(user_pb2.RestoreUserRequest(user=user), timeout=20))

    def cut_after(self, began: float) -> float:
        """Seconds until no new connection went through any more."""
        last = self._steady(False, began)
        return max(0.0, last - began)

    def open_after(self, began: float) -> float:
        """Seconds until a new connection went through again."""
        return self._steady(True, began) - began

    def close(self) -> None:
        """End our side; the lab ends the rest."""
        self._channel.close()
        self.server.close()

    def _anybody(self) -> str:
        if "nobody" not in {user["name"] for user in self.server.json("users", "list") or []}:
            self.server.cli("users", "create", "nobody")
        return "nobody"

    def _join(self, kind: type[Client], name: str, key: str) -> Client:
        self.net.add_host(name)
        client = kind(self.net, name, name, URL, key)
        client.extra["SSL_CERT_FILE"] = str(self.net.folder / "server.pem")
        client.start()
        return client

    def _say(self, call: Callable[[], object]) -> float:
        began = time.monotonic()
        call()
        return began

    def _tries(self) -> list[Try]:
        assert self._prober is not None and self._prober.running(), self._prober and self._prober.text()[-2000:]
        whole = self._prober.text().rpartition("\n")[0].splitlines()
        return sorted(
            (Try(float(start), float(end), answer == "yes") for start, end, answer in map(str.split, whole)),
            key=lambda one: one.start,
        )

    def _steady(self, goes: bool, began: float) -> float:
        """Wait until tries go one way; when the first of them ended that way, or the last that went otherwise did."""

        def found() -> float | None:
            tries = self._tries()
            recent = tries[-IN_A_ROW:]
            if len(recent) < IN_A_ROW or recent[0].start < began or any(one.went != goes for one in recent):
                return None
            if goes:
                return min(one.end for one in tries if one.went and one.end > began)
            last = max((one.end for one in tries if one.went), default=began)
            first = min((one.start for one in tries if not one.went and one.start > began), default=began)
            return max(last, first)

        return wait_for(f"tries {'go' if goes else 'do not go'} through", found, 60)
