"""What is refused before any service is asked, and what is offered beside registering and maps."""

from __future__ import annotations

import grpc
import orjson
import pytest

from services.shared.keys import MachineKey
from tests.flow.machine.scripted import MACHINE, NODE, Gateway, admitted


@pytest.mark.statement(38, 39)
async def test_a_node_key_of_another_machine_is_forbidden(gateway: Gateway) -> None:
    gateway.auth.fail = (grpc.StatusCode.PERMISSION_DENIED, "another machine")
    assert (await gateway.register()).status == 403


async def test_a_client_that_is_too_old_is_told_so(gateway: Gateway) -> None:
    for path in ("/machine/register", "/machine/map"):
        answer = await gateway.ask(path, {"Version": 112, "NodeKey": str(NODE)})
        assert answer.status == 400 and b"too old" in answer.body
    assert gateway.auth.ear.heard == []


@pytest.mark.statement(62)
async def test_one_machine_cannot_occupy_more_than_its_share(gateway: Gateway) -> None:
    body = {"Version": 113, "NodeKey": str(NODE), "Followup": "https://x/register/y"}
    responders = [gateway.send("/machine/register", body) for _ in range(40)]
    refused = [responder for responder in responders if responder.status == 503]
    assert len(refused) == 24
    other = gateway.send("/machine/register", body, machine=MachineKey(b"\5" * 32))
    assert other.status is None


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"Version":113}',
    b'{"Version":113,"NodeKey":"nodekey:00"}',
    b'{"Version":113,"NodeKey":"mkey:' + b"11" * 32 + b'"}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"00" * 32 + b'"}',
    b'{"Version":"113","NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":1e99,"NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":-1,"NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":[]}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":{"RoutableIPs":["nonsense"]}}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":{"OS":7}}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
]


@pytest.mark.parametrize("path", ["/machine/register", "/machine/map"])
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_no_request_is_refused_at_once_and_reaches_no_service(
    gateway: Gateway, path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    responder = gateway.send(path, body)
    assert responder.status == 400 and len(responder.body) <= 200
    assert gateway.auth.ear.heard == [] and gateway.registry.updates == []
    assert not [record for record in caplog.records if record.exc_info]


async def test_odd_names_are_cleaned_and_not_refused(gateway: Gateway) -> None:
    gateway.auth.answer = admitted()
    answer = await gateway.register(Hostinfo={"Hostname": "a\x00b\x1b[31m" + "x" * (1 << 20), "OS": "linux"})
    assert answer.status == 200
    kept = orjson.loads(gateway.auth.ear.heard[0][1].hostinfo)
    assert kept["Hostname"].isprintable() and len(kept["Hostname"]) <= 255


@pytest.mark.statement(37)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/machine/nothing", 404),
        ("POST", "/", 404),
        ("GET", "/machine/register", 405),
        ("POST", "/machine/set-dns", 501),
        ("POST", "/machine/id-token", 501),
        ("PATCH", "/machine/set-device-attr", 501),
        ("GET", "/machine/tka/bootstrap", 501),
        ("POST", "/machine/webclient/init/1/to/2", 501),
        ("POST", "/c2n/unknown", 404),
    ],
)
async def test_what_is_not_offered_is_answered_at_once(gateway: Gateway, method: str, path: str, status: int) -> None:
    responder = gateway.send(path, b"{}", method=method)
    assert responder.status == status and len(responder.body) < 200


@pytest.mark.parametrize(
    ("feature", "says"),
    [
        ("serve", "no certificates for nodes"),
        ("funnel", "no public relay"),
        ("\x1b[31m", "does not offer this feature"),
    ],
)
async def test_a_feature_that_is_not_offered_is_explained_in_words(gateway: Gateway, feature: str, says: str) -> None:
    responder = gateway.send("/machine/feature/query", {"Feature": feature, "NodeKey": "nodekey:" + "1" * 64})
    answer = orjson.loads(responder.body)
    assert responder.status == 200 and says in answer["Text"]
    assert not answer["Complete"] and not answer["ShouldWait"] and "URL" not in answer


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"Feature":7}', b'{"Feature":""}'])
async def test_a_feature_query_without_a_feature_is_refused(gateway: Gateway, body: bytes) -> None:
    assert gateway.send("/machine/feature/query", body).status == 400


@pytest.mark.parametrize("path", ["/machine/update-health", "/machine/audit-log"])
async def test_what_clients_tell_us_of_themselves_is_taken(gateway: Gateway, path: str) -> None:
    assert gateway.send(path, {"Subsys": "dns", "Error": "x", "Action": "DISCONNECT_NODE"}).status == 200
    assert gateway.send(path, b"\xff").status == 400


@pytest.mark.statement(32)
async def test_a_get_may_have_a_body(gateway: Gateway) -> None:
    responder = gateway.send("/machine/whoami", b"{}", method="GET")
    assert orjson.loads(responder.body)["MachineKey"] == str(MACHINE)
