"""grpcurl, by reflection alone, does each of the 29 calls: on the socket, and over TLS with an API key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.alone import Alone

GRPCURL = str(Path(sys.executable).with_name("grpcurl"))
SERVICE = "headscale.v1.HeadscaleService"
POLICY = '{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'


class Grpcurl:
    """One way to the server."""

    def __init__(self, options: list[str], target: str, number: int) -> None:
        self.options, self.target, self.number = options, target, number
        self.called: set[str] = set()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program."""
        return subprocess.run([GRPCURL, *arguments], capture_output=True, text=True, timeout=30, check=False)

    def call(self, rpc: str, /, **request: Any) -> Any:
        """A call that succeeds."""
        self.called.add(rpc)
        done = self._call(rpc, request)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, rpc: str, /, **request: Any) -> tuple[str, str]:
        """A call that is refused: its status and text."""
        done = self._call(rpc, request)
        assert done.returncode != 0, done.stdout
        lines = dict(line.strip().split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
        return lines["Code"], lines["Message"]

    def _call(self, name: str, request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return self.run(*self.options, "-emit-defaults", "-d", json.dumps(request), self.target, f"{SERVICE}/{name}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    server = Alone(tmp_path_factory.mktemp("grpcurl"))
    try:
        yield server
        assert server.faults() == []
    finally:
        server.close()


@pytest.fixture(params=["socket", "tls"])
def grpcurl(request: pytest.FixtureRequest, alone: Alone) -> Grpcurl:
    if request.param == "socket":
        return Grpcurl(["-plaintext", "-unix"], str(alone.socket), 1)
    options = ["-cacert", str(alone.certificate), "-H", f"authorization: Bearer {alone.key}"]
    return Grpcurl(options, alone.grpc, 2)


def test_each_of_the_29_calls(grpcurl: Grpcurl) -> None:
    name = f"ann{grpcurl.number}"
    call = grpcurl.call
    assert call("Health") == {"databaseConnectivity": True}
    _policy(grpcurl)
    user = call("CreateUser", name="temporary", email=f"{name}@example.com", display_name="Ann")["user"]
    assert call("RenameUser", old_id=user["id"], new_name=name)["user"]["name"] == name
    assert [one["id"] for one in call("ListUsers", name=name)["users"]] == [user["id"]]
    _pre_auth_keys(grpcurl, user["id"])
    node = _login(grpcurl, name)
    _node(grpcurl, node["id"], name)
    call("DeleteUser", id=user["id"])
    _api_keys(grpcurl)
    listed = grpcurl.run(*grpcurl.options, grpcurl.target, "list", SERVICE).stdout.split()
    assert len(listed) == 29
    assert {full.rpartition(".")[2] for full in listed} == grpcurl.called


def _policy(grpcurl: Grpcurl) -> None:
    call = grpcurl.call
    assert call("CheckPolicy", policy=POLICY) == {}
    assert call("SetPolicy", policy=POLICY)["policy"] == POLICY
    assert call("GetPolicy")["policy"] == POLICY


def _pre_auth_keys(grpcurl: Grpcurl, user: str) -> None:
    call = grpcurl.call
    key = call("CreatePreAuthKey", user=user, reusable=True)["preAuthKey"]
    assert (key["user"]["id"], key["reusable"], key["key"][:11]) == (user, True, "hskey-auth-")
    assert key["id"] in [one["id"] for one in call("ListPreAuthKeys")["preAuthKeys"]]
    assert call("ExpirePreAuthKey", id=key["id"]) == {}
    assert call("DeletePreAuthKey", id=key["id"]) == {}
    assert grpcurl.refused("DeletePreAuthKey", id=key["id"]) == ("NotFound", "pre-auth key not found")


def _login(grpcurl: Grpcurl, user: str) -> dict[str, Any]:
    call = grpcurl.call
    first, second, third = (f"hskey-authreq-{grpcurl.number}{number:023x}" for number in (1, 2, 3))
    waiting = call("DebugCreateNode", user=user, key=first, name="printer", routes=["10.1.0.0/16"])["node"]
    assert (waiting["name"], waiting["user"]["name"], waiting["availableRoutes"]) == ("printer", user, ["10.1.0.0/16"])
    assert grpcurl.refused("AuthApprove", auth_id=first)[0] == "FailedPrecondition"
    node: dict[str, Any] = call("AuthRegister", user=user, auth_id=first)["node"]
    assert (node["machineKey"], node["nodeKey"]) == (waiting["machineKey"], waiting["nodeKey"])
    assert call("AuthApprove", auth_id=first) == {}
    call("DebugCreateNode", user=user, key=second, name="plotter")
    other = call("RegisterNode", user=user, key=second)["node"]
    assert call("DeleteNode", node_id=other["id"]) == {}
    call("DebugCreateNode", user=user, key=third, name="stranger")
    assert call("AuthReject", auth_id=third) == {}
    assert grpcurl.refused("AuthApprove", auth_id=third)[0] == "FailedPrecondition"
    return node


def _node(grpcurl: Grpcurl, node_id: str, user: str) -> None:
    call = grpcurl.call
    assert call("GetNode", node_id=node_id)["node"]["name"] == "printer"
    name = f"press{grpcurl.number}"
    assert call("RenameNode", node_id=node_id, new_name=name)["node"]["givenName"] == name
    routes = call("SetApprovedRoutes", node_id=node_id, routes=["10.1.0.0/16"])["node"]
    assert (routes["approvedRoutes"], routes["subnetRoutes"]) == (["10.1.0.0/16"], ["10.1.0.0/16"])
    (listed,) = call("ListNodes", user=user)["nodes"]
    assert (listed["id"], listed["subnetRoutes"]) == (node_id, ["10.1.0.0/16"])
    assert call("GetNode", node_id=node_id)["node"]["subnetRoutes"] == []
    assert call("ExpireNode", node_id=node_id, expiry="2040-01-01T00:00:00Z")["node"]["expiry"][:4] == "2040"
    tagged = call("SetTags", node_id=node_id, tags=["tag:web"])["node"]
    assert (tagged["tags"], tagged["user"]["id"]) == (["tag:web"], "2147455555")
    assert call("BackfillNodeIPs", confirmed=True) == {"changes": []}
    assert grpcurl.refused("BackfillNodeIPs")[0] == "InvalidArgument"
    assert call("DeleteNode", node_id=node_id) == {}
    assert grpcurl.refused("GetNode", node_id=node_id) == ("NotFound", "node not found")


def _api_keys(grpcurl: Grpcurl) -> None:
    call = grpcurl.call
    key = call("CreateApiKey")["apiKey"]
    assert key.startswith("hskey-api-")
    (mine,) = [one for one in call("ListApiKeys")["apiKeys"] if key.startswith(one["prefix"].removesuffix("***"))]
    assert call("ExpireApiKey", prefix=mine["prefix"]) == {}
    assert call("DeleteApiKey", id=mine["id"]) == {}
    code, text = grpcurl.refused("DeleteApiKey", id=mine["id"], prefix=mine["prefix"])
    assert (code, text) == ("InvalidArgument", "prefix: give either the prefix or the id")


def test_without_a_key_nothing_is_told_over_tls_not_even_which_services_there_are(alone: Alone) -> None:
    for options in ([], ["-H", "authorization: Basic x"], ["-H", f"authorization: Bearer {alone.key[:-1]}x"]):
        outside = Grpcurl(["-cacert", str(alone.certificate), *options], alone.grpc, 3)
        done = outside.run(*outside.options, outside.target, "list")
        assert done.returncode != 0
        assert "Unauthenticated" in done.stderr
