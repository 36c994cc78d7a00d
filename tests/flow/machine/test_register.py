"""Register requests inside the tunnel: answers of auth, waiting, limits."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from smartscale.auth.v1 import auth_pb2
from smartscale.types.v1 import node_pb2 as node_types

from tests.flow.machine.scripted import MACHINE, NODE, Gateway, admitted, until


@pytest.mark.statement(41, 44, 48)
async def test_success_names_the_user_and_has_every_member(gateway: Gateway) -> None:
    gateway.auth.answer = admitted(email="ann@example.com", display_name="Ann", provider="oidc")
    answer = await gateway.register(Auth={"AuthKey": "hskey-auth-x"})
    assert answer.status == 200
    assert orjson.loads(answer.body) == {
        "User": {"ID": 3, "DisplayName": "Ann"},
        "Login": {"ID": 3, "Provider": "oidc", "LoginName": "ann@example.com", "DisplayName": "Ann"},
        "NodeKeyExpired": False,
        "MachineAuthorized": True,
        "AuthURL": "",
        "NodeKeySignature": None,
        "Error": "",
    }
    machine, request = gateway.auth.ear.heard[0]
    assert machine == MACHINE and request.auth_key == "hskey-auth-x" and request.remote_address == "192.0.2.1"


async def test_a_tagged_node_belongs_to_the_user_of_all_tagged_devices(gateway: Gateway) -> None:
    node = node_types.Node(id=7, tags=["tag:web"])
    gateway.auth.answer = auth_pb2.RegisterResponse(admitted=auth_pb2.Admitted(node=node))
    body = orjson.loads((await gateway.register()).body)
    assert body["User"]["ID"] == 2147455555 and body["Login"]["LoginName"] == "tagged-devices"


@pytest.mark.statement(42)
async def test_an_interactive_login_gets_its_address_and_is_not_authorised(gateway: Gateway) -> None:
    url = "https://hs.example.net/register/hskey-authreq-1"
    gateway.auth.answer = auth_pb2.RegisterResponse(login_needed=auth_pb2.LoginNeeded(auth_id="1", auth_url=url))
    body = orjson.loads((await gateway.register()).body)
    assert (body["AuthURL"], body["MachineAuthorized"], body["Error"]) == (url, False, "")


@pytest.mark.statement(45, 61)
async def test_a_refusal_is_text_for_the_person(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(refused="auth key expired")
    answer = await gateway.register()
    assert answer.status == 200 and orjson.loads(answer.body)["Error"] == "auth key expired"


@pytest.mark.statement(50)
async def test_an_expired_node_key_is_said_without_an_address(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(node_key_expired=True)
    body = orjson.loads((await gateway.register()).body)
    assert (body["NodeKeyExpired"], body["AuthURL"]) == (True, "")


@pytest.mark.statement(54, 55, 57)
@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("1970-01-01T02:02:03+02:00", datetime(1970, 1, 1, 0, 2, 3, tzinfo=UTC)),
        ("2027-01-02T03:04:05.123456789Z", datetime(2027, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
    ],
)
async def test_a_wished_end_reaches_auth_as_the_moment_it_is(gateway: Gateway, sent: str, wanted: datetime) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(logged_out=True)
    answer = await gateway.register(Expiry=sent)
    assert answer.status == 200
    assert gateway.auth.ear.heard[0][1].expiry.ToDatetime(tzinfo=UTC) == wanted


@pytest.mark.statement(55)
async def test_the_zero_time_is_no_wish(gateway: Gateway) -> None:
    await gateway.register(Expiry="0001-01-01T00:00:00Z")
    assert not gateway.auth.ear.heard[0][1].HasField("expiry")


@pytest.mark.statement(61)
async def test_too_many_attempts_are_429_for_clients_that_wait_and_text_for_those_that_do_not(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(retry_after=30)
    new = await gateway.register(Version=137)
    old = await gateway.register(Version=136)
    assert (new.status, new.headers) == (429, {"retry-after": "30"})
    assert old.status == 200 and "30 s" in orjson.loads(old.body)["Error"]


@pytest.mark.statement(43)
async def test_a_followup_is_held_until_somebody_decides(gateway: Gateway) -> None:
    gateway.auth.answer = admitted()
    body = {"Version": 113, "NodeKey": str(NODE), "Followup": "https://hs.example.net/register/x"}
    responder = gateway.send("/machine/register", body)
    _, request = await gateway.auth.ear.until(lambda heard: isinstance(heard, tuple))
    assert request.followup == "https://hs.example.net/register/x" and responder.status is None
    gateway.auth.decide.set()
    await until(lambda: responder.status == 200)
    assert orjson.loads(responder.body)["MachineAuthorized"] is True


@pytest.mark.statement(43)
async def test_a_followup_whose_client_goes_is_let_go_at_auth(gateway: Gateway) -> None:
    responder = gateway.send(
        "/machine/register", {"Version": 113, "NodeKey": str(NODE), "Followup": "https://x/register/y"}
    )
    await gateway.auth.ear.until(lambda heard: isinstance(heard, tuple))
    responder.reset()
    await gateway.auth.ear.until(lambda heard: heard == "let go")
    assert gateway.auth.held == 0 and responder.status is None


async def test_a_followup_that_nobody_decides_sends_the_client_around_again() -> None:
    gateway = Gateway(login_wait=0.01)
    answer = await gateway.register(Followup="https://x/register/y")
    assert orjson.loads(answer.body)["AuthURL"] == "https://x/register/y"
