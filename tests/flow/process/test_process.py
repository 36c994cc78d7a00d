"""Processes as operators see them: start, readiness, refusal, end; embedded and as a stack on Redis."""

from __future__ import annotations

import asyncio
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.shared.bus import Message
from services.shared.config import Config, ConfigError
from services.shared.config.model import BusConfig, DatabaseConfig, ServiceConfig, ServicesConfig, SqliteConfig
from services.shared.rpc import dial
from services.shared.runtime.process import Deps, alone, embedded
from services.shared.telemetry import Telemetry
from tests.contract.rpc.echo import EchoServicer, EchoStub
from tests.fakes.ports import free_port
from tests.fakes.program import headscale, write_config
from tests.fakes.redis_server import PROGRAM, RedisServer

TOKEN = "0123456789abcdef"


def database(folder: Path) -> DatabaseConfig:
    """A database file that does not exist yet."""
    return DatabaseConfig(sqlite=SqliteConfig(path=folder / "db.sqlite"))


class EchoService(EchoServicer):
    """A service whose start can be held."""

    def __init__(self, deps: Deps, log: list[str], name: str) -> None:
        super().__init__()
        self.deps = deps
        self._log = log
        self._name = name

    async def start(self) -> None:
        self._log.append(f"start {self._name}")

    async def stop(self) -> None:
        self._log.append(f"stop {self._name}")


async def test_embedded_services_start_in_order_stop_in_reverse_and_reach_each_other(tmp_path: Path) -> None:
    log: list[str] = []

    async def build(_config: Config, deps: Deps) -> EchoService:
        return EchoService(deps, log, "one" if not log else "two")

    async def build_other(_config: Config, deps: Deps) -> Any:
        made = EchoService(deps, log, "two")
        made.add_to = lambda server: None  # type: ignore[method-assign, assignment]
        return made

    config = Config(metrics_listen_addr="", database=database(tmp_path))
    async with embedded(config, {"registry": build, "policy": build_other}, Telemetry()) as running:
        service: Any = running["policy"]
        answer = await EchoStub(service.deps.channels["registry"]).One(StringValue(value="a"))
        assert answer.value == "one a"
    assert log == ["start one", "start two", "stop two", "stop one"]


async def test_what_was_built_is_stopped_when_a_later_one_cannot_start() -> None:
    log: list[str] = []

    async def build(_config: Config, deps: Deps) -> EchoService:
        return EchoService(deps, log, "one")

    async def broken(_config: Config, _deps: Deps) -> EchoService:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        async with embedded(Config(metrics_listen_addr=""), {"a": build, "b": broken}, Telemetry()):
            pass
    assert log == ["stop one"]


@pytest.mark.parametrize("services", [ServicesConfig(), ServicesConfig(token=TOKEN)])
async def test_a_stack_without_bus_or_open_to_strangers_does_not_start(services: ServicesConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        async with alone(Config(services=services, metrics_listen_addr=""), {}, Telemetry()):
            pass
    keys = [problem.key for problem in caught.value.problems]
    assert keys == (["bus.url"] if services.token else ["bus.url", "services.token"])


@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
async def test_processes_of_a_stack_find_each_other_and_tell_their_health(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    await redis.start()
    where = f"127.0.0.1:{free_port()}"
    security = ServicesConfig(token=TOKEN, registry=ServiceConfig(listen_addr=where, addresses=(where,)))
    config = Config(
        bus=BusConfig(url=redis.url),
        services=security,
        metrics_listen_addr="127.0.0.1:0",
        database=database(tmp_path),
    )
    built: list[EchoService] = []

    async def build(_config: Config, deps: Deps) -> EchoService:
        built.append(EchoService(deps, [], "registry"))
        return built[-1]

    async with alone(config, {"registry": build}, Telemetry()) as ports:
        assert where.endswith(f":{ports['registry']}")
        deps = built[0].deps
        assert (await EchoStub(deps.channels["registry"]).One(StringValue(value="a"))).value == "one a"
        async with deps.bus.subscribe("topic") as reader:
            await deps.bus.publish("topic", b"x")
            assert await anext(reader) == Message("topic", b"x")
        async with grpc.aio.insecure_channel(where) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async with dial(where, security) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await EchoStub(channel).One(StringValue(value="a"), timeout=0.3)
    await redis.stop()


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_embedded_default_starts_anywhere_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    write_config(tmp_path, port)
    async with headscale(tmp_path, "serve") as process:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(is_healthy, port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        process.send_signal(number)
        async with asyncio.timeout(15):
            _out, err = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in err
    assert b" ERROR " not in err
    assert (tmp_path / "state" / "db.sqlite").exists()
    assert not (tmp_path / "state" / "headscale.sock").exists()


async def test_a_server_that_still_looks_for_its_provider_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        write_config(tmp_path, free_port())
        with (tmp_path / "config.yaml").open("a") as config:
            issuer = f"http://127.0.0.1:{mute.getsockname()[1]}"
            config.write(f"oidc: {{issuer: '{issuer}', client_id: a, client_secret: b}}\n")
        async with headscale(tmp_path, "serve") as process, asyncio.timeout(60):
            assert process.stderr is not None
            while b"sign-in enabled" not in (line := await process.stderr.readline()):
                assert line, "it ended by itself"
            process.send_signal(signal.SIGTERM)
            _out, err = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in err and b" ERROR " not in err


async def test_a_taken_port_is_named_and_the_start_fails(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        write_config(tmp_path, port)
        async with headscale(tmp_path, "serve") as process, asyncio.timeout(60):
            _out, err = await process.communicate()
    assert process.returncode == 1
    assert str(port).encode() in err
    assert b"Traceback" not in err


async def test_a_process_of_a_stack_says_what_its_configuration_lacks(tmp_path: Path) -> None:
    write_config(tmp_path, free_port())
    async with headscale(tmp_path, "serve", "registry") as process, asyncio.timeout(60):
        _out, err = await process.communicate()
    assert process.returncode == 1
    assert b"bus.url" in err
    assert b"services.token" in err
    assert b"Traceback" not in err
