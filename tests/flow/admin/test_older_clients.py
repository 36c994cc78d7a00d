"""What older command lines and releases ask is understood and answered in their shape."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from headscale.v1 import preauthkey_pb2, user_pb2

from gateway.admin.calls import legacy_requests
from tests.fakes.tailnet import Tailnet
from tests.flow.admin.answers import refused


async def test_requests_of_older_command_lines_are_understood(tailnet: Tailnet) -> None:
    admin = tailnet.admin

    def old(kind: Any, texts: dict[int, str], more: bytes = b"") -> Any:
        return kind.FromString(legacy_requests.encoded(texts) + more)

    await tailnet.user("alice")
    renamed = await admin.RenameUser(old(user_pb2.RenameUserRequest, {1: "alice", 2: "anna"}))
    assert renamed.user.name == "anna"
    made = await admin.CreatePreAuthKey(old(preauthkey_pb2.CreatePreAuthKeyRequest, {1: "anna"}, b"\x10\x01"))
    assert (made.pre_auth_key.user.name, made.pre_auth_key.reusable) == ("anna", True)
    other = await tailnet.user("bob")
    await tailnet.auth_key(other)
    for request in (old(preauthkey_pb2.ListPreAuthKeysRequest, {1: "anna"}), b"\x08\x01"):
        asked = preauthkey_pb2.ListPreAuthKeysRequest.FromString(request) if isinstance(request, bytes) else request
        assert [key.id for key in (await admin.ListPreAuthKeys(asked)).pre_auth_keys] == [made.pre_auth_key.id]
    wanted = {1: "bob", 2: made.pre_auth_key.key}
    with pytest.raises(grpc.aio.AioRpcError, match="pre-auth key not found"):
        await admin.ExpirePreAuthKey(old(preauthkey_pb2.ExpirePreAuthKeyRequest, wanted))
    await admin.ExpirePreAuthKey(old(preauthkey_pb2.ExpirePreAuthKeyRequest, {2: made.pre_auth_key.key}, b"\x08\x01"))
    listed = (await admin.ListPreAuthKeys(preauthkey_pb2.ListPreAuthKeysRequest())).pre_auth_keys
    assert listed[0].expiration.ToMilliseconds() < listed[1].expiration.ToMilliseconds()
    await admin.DeleteUser(old(user_pb2.DeleteUserRequest, {1: "anna"}))
    assert [user.name for user in (await admin.ListUsers(user_pb2.ListUsersRequest())).users] == ["bob"]


async def test_paths_of_older_releases_are_answered_in_their_shape(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    alice = await tailnet.user("alice")
    node = (await tailnet.device("web").join(await tailnet.auth_key(alice))).id
    (machine,) = (await web.get("/machine")).json()["machines"]
    assert (machine["id"], machine["forcedTags"], machine["validTags"]) == (str(node), [], [])
    assert machine["lastSeen"] and machine["online"] in (True, False)
    assert (await web.post(f"/machine/{node}/rename/press")).json()["machine"]["givenName"] == "press"
    assert (await web.get("/user/alice")).json()["user"]["id"] == str(alice)
    assert (await web.get(f"/machine/{node}/routes")).json() == {"routes": []}
    refused(await web.post(f"/node/{node}/user", json={"user": "bob"}), 410, "not moved")
    refused(await web.post("/routes/17/enable"), 404, "route not found")
    assert (await web.delete(f"/machine/{node}")).json() == {}
    assert (await web.post("/user/alice/rename/anna")).json()["user"]["name"] == "anna"
    assert (await web.delete("/user/anna")).json() == {}
