"""What clients report of their nodes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.registry.wiring import RegistryService
from tests.fakes.registry import RegistryClient, machine, node_key, start_registry


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[RegistryService, RegistryClient]]:
    service, channel, _ = await start_registry(tmp_path)
    yield service, RegistryClient(channel)
    await service.stop()


@pytest.fixture
def registry(service: tuple[RegistryService, RegistryClient]) -> RegistryClient:
    return service[1]


async def join(registry: RegistryClient, number: int = 1, hostname: str = "host") -> node_types.Node:
    return await registry.admit(machine(number), node_key(number), tags=["tag:a"], hostname=hostname)


def report(number: int = 1, **fields: object) -> pb.UpdateNodeRequest:
    hostinfo = fields.pop("hostinfo", None)
    data = b"" if hostinfo is None else json.dumps(hostinfo).encode()
    return pb.UpdateNodeRequest(node_key=node_key(number).raw, hostinfo=data, **fields)


@pytest.mark.statement(65)
async def test_a_report_is_stored(registry: RegistryClient) -> None:
    node = await join(registry)
    changed = await registry.update(
        machine(1),
        report(
            disco_key=b"\x05" * 32,
            endpoints=["203.0.113.7:41641", "[2001:db8::1]:41641"],
            endpoint_types=[2, 1],
            hostinfo={"Hostname": "host", "OS": "linux", "NetInfo": {"PreferredDERP": 900}},
            cap_version=130,
        ),
    )
    stored = await registry.node(node.id)
    assert changed
    assert (stored.disco_key, list(stored.endpoints), list(stored.endpoint_types)) == (
        b"\x05" * 32,
        ["203.0.113.7:41641", "[2001:db8::1]:41641"],
        [2, 1],
    )
    assert (stored.home_derp, stored.cap_version, json.loads(stored.hostinfo)["OS"]) == (900, 130, "linux")


async def test_an_identical_report_writes_nothing(service: tuple[RegistryService, RegistryClient]) -> None:
    registry = service[1]
    await join(registry)
    request = report(endpoints=["192.0.2.1:1"], hostinfo={"Hostname": "host", "OS": "linux"}, order=1, gateway_id="g")
    assert await registry.update(machine(1), request)
    log, commits = await registry.changes(), service[0].ledger.commits
    assert not await registry.update(machine(1), request)
    assert (await registry.changes(), service[0].ledger.commits) == (log, commits)


async def test_an_empty_list_clears_the_endpoints(registry: RegistryClient) -> None:
    node = await join(registry)
    await registry.update(machine(1), report(endpoints=["192.0.2.1:1"]))
    assert await registry.update(machine(1), report())
    assert not (await registry.node(node.id)).endpoints


@pytest.mark.statement(68)
async def test_netinfo_and_home_derp_stay_when_left_out(registry: RegistryClient) -> None:
    node = await join(registry)
    await registry.update(machine(1), report(hostinfo={"Hostname": "host", "NetInfo": {"PreferredDERP": 7}}))
    await registry.update(machine(1), report(hostinfo={"Hostname": "host", "OS": "linux"}))
    stored = await registry.node(node.id)
    assert stored.home_derp == 7
    assert json.loads(stored.hostinfo) == {"Hostname": "host", "OS": "linux", "NetInfo": {"PreferredDERP": 7}}


@pytest.mark.statement(90)
async def test_an_older_report_of_the_same_gateway_is_dropped(registry: RegistryClient) -> None:
    node = await join(registry)
    assert await registry.update(machine(1), report(endpoints=["192.0.2.2:2"], order=2, gateway_id="gw-1"))
    assert not await registry.update(machine(1), report(endpoints=["192.0.2.1:1"], order=1, gateway_id="gw-1"))
    assert list((await registry.node(node.id)).endpoints) == ["192.0.2.2:2"]
    assert await registry.update(machine(1), report(endpoints=["192.0.2.3:3"], order=1, gateway_id="gw-2"))


@pytest.mark.statement(90)
async def test_a_report_that_said_nothing_new_still_outdates_older_ones(registry: RegistryClient) -> None:
    await join(registry)
    assert await registry.update(machine(1), report(endpoints=["192.0.2.2:2"], order=2, gateway_id="gw-1"))
    assert not await registry.update(machine(1), report(endpoints=["192.0.2.2:2"], order=9, gateway_id="gw-1"))
    assert not await registry.update(machine(1), report(endpoints=["192.0.2.1:1"], order=8, gateway_id="gw-1"))


@pytest.mark.statement(138)
async def test_a_new_hostname_gives_a_new_name_unless_an_administrator_chose_it(registry: RegistryClient) -> None:
    one, two = await join(registry, 1, "old"), await join(registry, 2, "other")
    await registry.update(machine(1), report(hostinfo={"Hostname": "Other"}))
    assert (await registry.node(one.id)).given_name == "other-1"
    await registry.update(machine(1), report(hostinfo={"Hostname": "OTHER.local"}))
    assert (await registry.node(one.id)).given_name == "other-1"
    await registry.stub.RenameNode(pb.RenameNodeRequest(id=two.id, new_name="mine"))
    await registry.update(machine(2), report(2, hostinfo={"Hostname": "third"}))
    stored = await registry.node(two.id)
    assert (stored.given_name, stored.hostname, stored.given_name_fixed) == ("mine", "third", True)


async def test_reports_that_arrive_together_share_transactions(
    service: tuple[RegistryService, RegistryClient],
) -> None:
    registry = service[1]
    nodes = await asyncio.gather(*(join(registry, number) for number in range(1, 101)))
    before = service[0].ledger.commits
    answers = await asyncio.gather(
        *(registry.update(machine(number), report(number, endpoints=["192.0.2.1:1"])) for number in range(1, 101))
    )
    assert all(answers) and len(nodes) == 100
    assert service[0].ledger.commits - before < 25
    assert all(list(node.endpoints) == ["192.0.2.1:1"] for node in await registry.nodes())


async def test_one_refused_report_does_not_harm_those_that_came_with_it(registry: RegistryClient) -> None:
    for number in (1, 2, 3):
        await join(registry, number)
    answers = await asyncio.gather(
        registry.update(machine(1), report(1, endpoints=["192.0.2.1:1"])),
        registry.update(machine(9), report(2, endpoints=["192.0.2.9:9"])),
        registry.update(machine(3), report(99, endpoints=["192.0.2.9:9"])),
        registry.update(machine(3), report(3, endpoints=["192.0.2.3:3"])),
        return_exceptions=True,
    )
    codes = [answer.code() if isinstance(answer, grpc.aio.AioRpcError) else answer for answer in answers]
    assert codes == [True, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND, True]
    assert [list(node.endpoints) for node in await registry.nodes()] == [["192.0.2.1:1"], [], ["192.0.2.3:3"]]


async def test_the_old_key_works_until_the_rotation_is_done(registry: RegistryClient) -> None:
    await join(registry)
    assert await registry.update(machine(1), report(endpoints=["192.0.2.1:1"]))
    await registry.admit(machine(1), node_key(2), tags=["tag:a"], old=node_key(1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await registry.update(machine(1), report(endpoints=["192.0.2.1:2"]))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert await registry.update(machine(1), report(2, endpoints=["192.0.2.1:2"]))


@pytest.mark.parametrize(
    "fields",
    [
        {"node_key": b""},
        {"node_key": bytes(32)},
        {"node_key": b"\x01" * 31},
        {"disco_key": b"\x01" * 33},
        {"endpoints": ["nonsense"]},
        {"hostinfo": b"{"},
        {"hostinfo": b'{"Hostname":"' + b"x" * (1 << 20) + b'"}'},
        {"cap_version": -1},
        {"gateway_id": "a b"},
        {"gateway_id": "g", "order": (1 << 64) - 1},
    ],
)
async def test_a_hostile_report_is_refused_by_name(
    registry: RegistryClient, fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    node = await join(registry)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await registry.update(machine(1), pb.UpdateNodeRequest(**{"node_key": node_key(1).raw, **fields}))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await registry.node(node.id) == node
    assert not [record for record in caplog.records if record.exc_info]
