"""What programs around Headscale read in its answers: keys of nodes, words of policy errors, forms of auth ids."""

from __future__ import annotations

import grpc
import grpc.aio
import httpx
import pytest
from headscale.v1 import node_pb2, policy_pb2

from tests.fakes.tailnet import Tailnet

LOGIN = "hskey-authreq-0123456789abcdef01234567"


async def test_answers_of_one_node_have_its_pre_auth_key_and_a_reusable_key_is_never_used(
    tailnet: Tailnet, web: httpx.AsyncClient
) -> None:
    alice = await tailnet.user("alice")
    node = (await tailnet.device("web").join(await tailnet.auth_key(alice))).id
    once = (await tailnet.device("db").join(await tailnet.auth_key(alice, reusable=False))).id
    for answer in (
        await web.get(f"/node/{node}"),
        await web.post(f"/node/{node}/rename/press"),
        await web.post(f"/node/{node}/approve_routes", json={"routes": []}),
        await web.post(f"/node/{node}/expire", json={"expiry": "2040-01-01T00:00:00Z"}),
    ):
        key = answer.json()["node"]["preAuthKey"]
        assert key["key"].startswith("hskey-auth-") and key["key"].endswith("-***")
        assert (key["reusable"], key["used"], key["user"]["name"]) == (True, False, "alice")
    assert (await web.get(f"/node/{once}")).json()["node"]["preAuthKey"]["used"] is True
    listed = {key["reusable"]: key["used"] for key in (await web.get("/preauthkey")).json()["preAuthKeys"]}
    assert listed == {True: False, False: True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"acls": [', "parsing HuJSON: "),
        ("[]", "parsing HuJSON: "),
        ('{"acls": [{"action": "deny"}]}', "parsing policy from bytes: "),
        ('{"acls": [{"action": "accept", "src": ["group:none"], "dst": ["*:*"]}]}', "parsing policy from bytes: "),
    ],
)
async def test_policy_errors_begin_with_the_words_that_web_uis_search_for(
    tailnet: Tailnet, web: httpx.AsyncClient, text: str, words: str
) -> None:
    for call in (
        tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=text)),
        tailnet.admin.CheckPolicy(policy_pb2.CheckPolicyRequest(policy=text)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (caught.value.details() or "").startswith(words)
    for answer in (
        await web.put("/policy", json={"policy": text}),
        await web.post("/policy/check", json={"policy": text}),
    ):
        assert answer.status_code == 400 and answer.json()["message"].startswith(words)


@pytest.mark.parametrize(
    "form",
    [
        LOGIN,
        LOGIN.upper(),
        f" {LOGIN}\t".strip(),
        "0123456789abcdef01234567",
        f"https://hs.example.net/register/{LOGIN}",
        f"https://hs.example.net/auth/{LOGIN}/?x=1",
    ],
)
async def test_an_auth_id_is_understood_in_the_forms_that_people_paste(tailnet: Tailnet, form: str) -> None:
    await tailnet.user("alice")
    await tailnet.admin.DebugCreateNode(node_pb2.DebugCreateNodeRequest(user="alice", key=LOGIN, name="web"))
    made = await tailnet.admin.RegisterNode(node_pb2.RegisterNodeRequest(user="alice", key=form))
    assert made.node.given_name == "web"


@pytest.mark.parametrize("secret", ["MR7Vh2Zx-Q_3kLmNoPqRsTuv", "a" * 24, "ABCDEFabcdef012345678_-Z"])
async def test_an_auth_id_may_be_any_that_headscale_takes(tailnet: Tailnet, secret: str) -> None:
    await tailnet.user("alice")
    chosen = node_pb2.DebugCreateNodeRequest(user="alice", key=f"hskey-authreq-{secret}", name="web")
    await tailnet.admin.DebugCreateNode(chosen)
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(f"{tailnet.url}/register/hskey-authreq-{secret}")).status_code == 200
    made = await tailnet.admin.RegisterNode(node_pb2.RegisterNodeRequest(user="alice", key=secret))
    assert made.node.given_name == "web"


async def test_a_tagged_node_may_be_given_an_expiry(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    alice = await tailnet.user("alice")
    policy = '{"tagOwners": {"tag:web": []}, "acls": []}'
    assert (await web.put("/policy", json={"policy": policy})).status_code == 200
    node = (await tailnet.device("web").join(await tailnet.auth_key(alice))).id
    assert (await web.post(f"/node/{node}/tags", json={"tags": ["tag:web"]})).json()["node"]["expiry"] is None
    given = await web.post(f"/node/{node}/expire", json={"expiry": "2040-01-01T00:00:00Z"})
    assert given.json()["node"]["expiry"] == "2040-01-01T00:00:00Z"
