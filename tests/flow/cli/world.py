"""A running control plane, the installed command, and fresh things for each command to work on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc.aio
from headscale.v1 import apikey_pb2, auth_pb2, node_pb2, policy_pb2, preauthkey_pb2, user_pb2
from smartscale.admin.v1 import dns_pb2, dns_pb2_grpc, key_pb2, key_pb2_grpc, pending_login_pb2, pending_login_pb2_grpc
from smartscale.types.v1 import key_pb2 as key_types

from tests.fakes.ssh import session_that_waits
from tests.fakes.tailnet import Tailnet

PROGRAM = Path(sys.executable).with_name("headscale")
OPEN = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}\n'
TAGS = '{"tagOwners": {"tag:web": ["root@"]}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}\n'


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)


@dataclass
class World:
    """One server for many commands."""

    tailnet: Tailnet
    folder: Path
    address: str
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.folder / "admin.sock"

    async def run(self, *words: str, stdin: str = "", **env: str) -> Answer:
        """Run the installed program as a person does."""
        return await self._execute((str(PROGRAM), *words), stdin, env)

    async def _execute(self, command: tuple[str, ...], stdin: str, env: dict[str, str]) -> Answer:
        known = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "HEADSCALE_UNIX_SOCKET": str(self.socket)}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.folder, env={**known, **env},
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin.encode())
        assert b"Traceback" not in err, err.decode()
        return Answer(process.returncode or 0, out.decode(), err.decode())

    async def script(self, text: str) -> Answer:
        """Run a shell script in which `headscale` is the installed program."""
        path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
        return await self._execute(("/bin/sh", "-c", text), "", {"PATH": path})

    async def state(self) -> list[bytes]:
        """All that a command could change, without what changes by itself."""
        admin, found = self.tailnet.admin, []
        for name, request in (
            ("ListUsers", user_pb2.ListUsersRequest()),
            ("ListPreAuthKeys", preauthkey_pb2.ListPreAuthKeysRequest()),
            ("ListApiKeys", apikey_pb2.ListApiKeysRequest()),
            ("ListNodes", node_pb2.ListNodesRequest()),
        ):
            answer = await getattr(admin, name)(request, timeout=10)
            for node in getattr(answer, "nodes", ()):
                node.ClearField("last_seen")
                node.ClearField("online")
            for key in getattr(answer, "api_keys", ()):
                key.ClearField("last_seen")
            found.append(answer.SerializeToString(deterministic=True))
        async with grpc.aio.insecure_channel(f"unix:{self.socket}") as channel:
            keys: Any = key_pb2_grpc.KeyAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            wanted = key_pb2.ListKeysRequest(kinds=[key_types.KEY_KIND_OAUTH_CLIENT])
            found.append((await keys.ListKeys(wanted, timeout=10)).SerializeToString(deterministic=True))
            dns: Any = dns_pb2_grpc.DnsAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            found.append((await dns.GetDns(dns_pb2.GetDnsRequest())).SerializeToString(deterministic=True))
        found.append(repr(await self.waiting()).encode())
        found.append((await self.policy()).encode())
        return found

    async def policy(self) -> str:
        """The policy in force; empty: none."""
        try:
            return str((await self.tailnet.admin.GetPolicy(policy_pb2.GetPolicyRequest(), timeout=10)).policy)
        except grpc.aio.AioRpcError:
            return ""

    async def waiting(self) -> list[str]:
        """The logins and SSH sessions that wait."""
        async with grpc.aio.insecure_channel(f"unix:{self.socket}") as channel:
            stub: Any = pending_login_pb2_grpc.PendingLoginAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            answer = await stub.ListPendingLogins(pending_login_pb2.ListPendingLoginsRequest(), timeout=10)
        return [one.auth_id for one in (*answer.logins, *answer.ssh_sessions)]

    async def fill(self, template: str) -> list[str]:
        """The words of a command, with fresh things in the places that it names."""
        return [await self._word(word) for word in template.split()]

    async def _word(self, word: str) -> str:
        for name in ("name", "email", "user", "userid", "node", "nodeid", "router", "free", "login", "session", "key",
                     "secret", "apikey", "apikeyid", "oauthclient", "route", "policy", "bad", "folder", "backup",
                     "config", "served"):  # fmt: skip
            if f"{{{name}}}" in word:
                word = word.replace(f"{{{name}}}", await getattr(self, f"_{name}")())
        return word.replace("~", " ")

    async def _name(self) -> str:
        return f"n{next(self.numbers)}"

    async def _user(self) -> str:
        name = await self._name()
        request = user_pb2.CreateUserRequest(name=name, email=f"{name}@example.com")
        await self.tailnet.admin.CreateUser(request, timeout=10)
        return name

    async def _email(self) -> str:
        return f"{await self._user()}@example.com"

    async def _userid(self) -> str:
        name = await self._user()
        answer = await self.tailnet.admin.ListUsers(user_pb2.ListUsersRequest(name=name), timeout=10)
        return str(answer.users[0].id)

    async def _free(self) -> str:
        return f"hskey-authreq-{next(self.numbers):024x}"

    async def _login(self, *routes: str) -> str:
        auth_id, name = await self._free(), await self._name()
        request = node_pb2.DebugCreateNodeRequest(user="root", key=auth_id, name=name, routes=routes)
        await self.tailnet.admin.DebugCreateNode(request, timeout=10)
        return auth_id

    async def _session(self) -> str:
        return await session_that_waits(self.folder / "db.sqlite", await self._made(), await self._made())

    async def _made(self, *routes: str) -> node_pb2.Node:
        request = auth_pb2.AuthRegisterRequest(user="root", auth_id=await self._login(*routes))
        node: node_pb2.Node = (await self.tailnet.admin.AuthRegister(request, timeout=10)).node
        return node

    async def _node(self) -> str:
        return (await self._made()).given_name

    async def _nodeid(self) -> str:
        return str((await self._made()).id)

    async def _router(self) -> str:
        return (await self._made("10.1.0.0/24", "0.0.0.0/0")).given_name

    async def _served(self) -> str:
        router = await self._router()
        await self.run("nodes", "approve-routes", "-i", router, "-r", "10.1.0.0/24")
        return router

    async def _route(self) -> str:
        router = await self._router()
        answer = await self.run("routes", "list", "-i", router, "-o", "json")
        return str(next(route["id"] for route in answer.data if route["prefix"] == "10.1.0.0/24"))

    async def _made_key(self) -> preauthkey_pb2.PreAuthKey:
        owner = (await self.tailnet.admin.ListUsers(user_pb2.ListUsersRequest(name="root"), timeout=10)).users[0].id
        request = preauthkey_pb2.CreatePreAuthKeyRequest(user=owner)
        key: preauthkey_pb2.PreAuthKey = (await self.tailnet.admin.CreatePreAuthKey(request, timeout=10)).pre_auth_key
        return key

    async def _key(self) -> str:
        return str((await self._made_key()).id)

    async def _secret(self) -> str:
        return (await self._made_key()).key

    async def _apikey(self) -> str:
        answer = await self.tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest(), timeout=10)
        return str(answer.api_key).split("-")[2]

    async def _oauthclient(self) -> str:
        answer = await self.run("oauth-clients", "create", "--scopes", "dns:read", "-o", "json")
        return str(answer.data["id"])

    async def _apikeyid(self) -> str:
        await self._apikey()
        answer = await self.tailnet.admin.ListApiKeys(apikey_pb2.ListApiKeysRequest(), timeout=10)
        return str(answer.api_keys[-1].id)

    async def _policy(self) -> str:
        path = self.folder / f"{await self._name()}.hujson"
        path.write_text(OPEN + f"// {path.name}\n")
        return str(path)

    async def _bad(self) -> str:
        path = self.folder / "bad.hujson"
        path.write_text('{"acls": [{"action": "maybe"}]}')
        return str(path)

    async def _folder(self) -> str:
        return str(self.folder / await self._name())

    async def _backup(self) -> str:
        path = await self._folder()
        answer = await self.run("-c", await self._config(), "backup", "create", path)
        assert answer.status == 0, answer
        return path

    async def _config(self) -> str:
        path = self.folder / "good.yaml"
        path.write_text(
            f"server_url: http://127.0.0.1:8080\nunix_socket: {self.socket}\npolicy: {{mode: database}}\n"
            f"database: {{type: sqlite, sqlite: {{path: {self.folder}/db.sqlite}}}}\nstate_dir: {self.folder}\n"
            "cli: {api_key: hskey-api-hidden}\n"
        )
        return str(path)
