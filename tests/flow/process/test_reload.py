"""A changed configuration is taken into use without a restart, or not at all: over the API, by SIGHUP, everywhere."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from smartscale.admin.v1 import server_pb2, server_pb2_grpc
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc

from services.auth.idp import discovery_loop
from services.shared.bus import MemoryBus, connect_bus
from services.shared.config import Config, ConfigError, ConfigProblem, load
from services.shared.config.login import ProviderConfig
from services.shared.rpc.client import dial
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps, embedded
from services.shared.runtime.reload import Reloader, changed_keys
from services.shared.runtime.sighup import listen
from services.shared.telemetry import Telemetry
from tests.fakes.ports import free_port
from tests.fakes.program import headscale, write_config
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback
from tests.fakes.redis_server import PROGRAM, RedisServer
from tests.fakes.shell import Shell
from tests.fakes.sign_in import ALICE, Lab, lab_in

CONFIRMING = pb.SIGN_IN_STATE_CONFIRMING


class File:
    """A configuration that changes, or cannot be read."""

    def __init__(self, config: Config) -> None:
        self.config: Config | ConfigError = config

    def __call__(self) -> Config:
        if isinstance(self.config, ConfigError):
            raise self.config
        return self.config


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab_in(tmp_path) as lab:
        yield lab


async def follow(lab: Lab, **settings: Any) -> tuple[File, Callable[..., None]]:
    """Start with a configuration that can be changed."""
    first = replace(lab.tailnet.config, oidc=replace(lab.oidc, **settings))
    file = File(first)
    lab.tailnet.reloader = Reloader(first, file, lab.tailnet.bus)
    await lab.begin(**settings)

    def change(**new: Any) -> None:
        file.config = replace(first, oidc=replace(first.oidc, **new))

    return file, change


async def reload(lab: Lab) -> pb.ReloadConfigurationResponse:
    answer: pb.ReloadConfigurationResponse = await lab.tailnet.stub.ReloadConfiguration(pb.ReloadConfigurationRequest())
    return answer


async def test_a_filter_holds_for_the_next_sign_in(lab: Lab) -> None:
    _, change = await follow(lab, allowed_domains=("else.example",))
    started = await lab.start()
    change(allowed_domains=("example.com",))
    answer = await reload(lab)
    assert (list(answer.problems), list(answer.changed)) == ([], ["oidc.allowed_domains"])
    shown = await lab.finish(started.browser_secret, lab.provider.authorize(started.authorization_url))
    assert shown.state == CONFIRMING


async def test_a_new_secret_holds_at_once_and_is_not_said(lab: Lab) -> None:
    _, change = await follow(lab, client_secret="wrong")
    assert (await lab.come_back())[1].reason == "client-credentials"
    change(client_secret=SECRET)
    answer = await reload(lab)
    assert list(answer.changed) == ["oidc.client_secret"] and SECRET not in str(answer)
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_another_issuer_holds_and_what_began_at_the_old_one_is_not_sent_there(lab: Lab) -> None:
    _, change = await follow(lab)
    async with provider_on_loopback(lab.tailnet.clock) as other:
        other.person = dict(ALICE)
        before = await lab.start()
        change(issuer=other.issuer)
        assert list((await reload(lab)).changed) == ["oidc.issuer"]
        old = await lab.finish(before.browser_secret, lab.provider.authorize(before.authorization_url))
        assert old.reason == "response-issuer" and not any(path.endswith("/token") for path in other.requests)
        started = await lab.start()
        assert started.authorization_url.startswith(other.origin)
        shown = await lab.finish(started.browser_secret, other.authorize(started.authorization_url))
        assert shown.state == CONFIRMING


async def test_a_provider_may_be_added_and_taken_away(lab: Lab) -> None:
    _, change = await follow(lab, issuer="")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start()
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    one = ProviderConfig(issuer=lab.provider.issuer, client_id=CLIENT_ID, client_secret=SECRET)
    change(providers={"one": one})
    await reload(lab)
    assert (await lab.start("one")).authorization_url.startswith(lab.provider.origin)
    change(providers={})
    await reload(lab)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start("one")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"issuer": "http://127.0.0.1:9/api/oidc/app"}, "oidc.issuer: http://127.0.0.1:9/api/oidc/app cannot be used"),
        ({"client_secret": " s"}, "oidc.client_secret: the client secret begins or ends"),
        ({"namespace_format": "{mail}"}, "oidc.namespace_format"),
        ({"ca_path": Path("/none")}, "oidc.ca_path: /none cannot be read"),
    ],
)
async def test_what_cannot_be_used_is_refused_loudly_and_the_old_one_goes_on(
    lab: Lab, caplog: pytest.LogCaptureFixture, new: dict[str, Any], said: str
) -> None:
    _, change = await follow(lab, allowed_domains=("example.com",))
    change(**new, allowed_domains=("else.example",))
    answer = await reload(lab)
    assert said in answer.problems[0] and not answer.changed
    assert "configuration not reloaded, the old one stays" in caplog.text
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_a_provider_that_is_added_and_may_be_late_is_looked_for_beside_the_work(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery_loop, "FIRST_PAUSE", 0.001)
    caplog.set_level("INFO", "services.auth.idp.discovery_loop")
    _, change = await follow(lab, issuer="")
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    change(issuer=lab.provider.issuer, only_start_if_oidc_is_available=False)
    assert not (await reload(lab)).problems
    async with asyncio.timeout(10):
        while not lab.provider.requests:  # noqa: ASYNC110  there is nothing to wait on
            await asyncio.sleep(0.001)
        lab.provider.answers = {}
        while "provider found" not in caplog.text:
            lab.tailnet.clock.advance(4)
            await asyncio.sleep(0.001)


async def test_a_file_that_cannot_be_read_changes_nothing(lab: Lab) -> None:
    file, _ = await follow(lab)
    file.config = ConfigError([ConfigProblem("config.yaml:3", "oidc", "is nonsense", "mend it")])
    assert list((await reload(lab)).problems) == ["config.yaml:3: oidc: is nonsense — mend it"]
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_a_provider_that_did_not_change_keeps_what_it_knows(lab: Lab) -> None:
    _, change = await follow(lab)
    await lab.come_back()
    asked = len(lab.provider.requests)
    change(providers={"one": ProviderConfig(issuer=lab.provider.issuer, client_id="x", client_secret="y")})
    await reload(lab)
    await lab.start()
    assert len(lab.provider.requests) == asked + 1


async def test_keys_that_hold_only_after_a_restart_are_named(lab: Lab) -> None:
    file, _ = await follow(lab)
    file.config = replace(lab.tailnet.config, listen_addr="127.0.0.1:1")
    answer = await reload(lab)
    assert (list(answer.changed), list(answer.needs_restart)) == ([], ["listen_addr"])


async def test_all_parts_take_a_configuration_or_none_does() -> None:
    class Part:
        def __init__(self, fails: bool = False) -> None:
            self.fails, self.taken = fails, 0

        async def prepare(self, config: Config) -> Callable[[], None]:
            if self.fails:
                raise ConfigError([ConfigProblem("x", "y", "z", "w")])

            def take() -> None:
                self.taken += 1

            return take

    willing, other = Part(), Part(fails=True)
    reloader = Reloader(Config(), Config)
    reloader.add(willing)
    reloader.add(other)
    assert (await reloader.reload()).problems and not willing.taken
    other.fails = False
    assert not (await reloader.reload()).problems and willing.taken == other.taken == 1


class Noting:
    """A part that notes what it takes into use."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()

    async def prepare(self, config: Config) -> Callable[[], None]:
        return lambda: self.taken.put_nowait(config.oidc.allowed_domains)


async def test_every_process_follows_when_one_is_told_to() -> None:
    bus, part = MemoryBus(), Noting()
    one, two = Reloader(Config(), Config, bus), Reloader(Config(), Config, bus)
    two.add(part)
    two.follow()
    try:
        async with asyncio.timeout(10):
            while part.taken.empty():  # the subscription may not be live at the first message
                await one.reload(tell_others=True)
                await asyncio.sleep(0)
    finally:
        await two.stop()
        await bus.close()


async def test_a_change_that_was_announced_before_the_subscription_or_in_a_gap_is_caught_up() -> None:
    bus, first = MemoryBus(), Config()
    file = File(replace(first, oidc=replace(first.oidc, allowed_domains=("one.example",))))
    part = Noting()
    reloader = Reloader(first, file, bus)
    reloader.add(part)
    reloader.follow()
    try:
        async with asyncio.timeout(10):
            assert await part.taken.get() == ("one.example",)
            bus.interrupt()
            file.config = replace(first, oidc=replace(first.oidc, allowed_domains=("two.example",)))
            bus.interrupt()
            assert await part.taken.get() == ("two.example",)
        assert part.taken.empty()
    finally:
        await reloader.stop()
        await bus.close()


async def test_a_hang_up_signal_during_the_start_reloads_once_the_process_is_ready() -> None:
    config, part = Config(metrics_listen_addr=""), Noting()

    class Service:
        def add_to(self, server: grpc.aio.Server) -> None:
            """It answers nothing."""

        async def start(self) -> None:
            came = asyncio.Event()
            stop = listen(came.set)
            os.kill(os.getpid(), signal.SIGHUP)
            await came.wait()
            stop()

        async def stop(self) -> None:
            """It has nothing to end."""

    async def build(_config: Config, deps: Deps) -> Service:
        assert deps.reloader is not None
        deps.reloader.add(part)
        return Service()

    deaf = listen(lambda: None)
    try:
        async with asyncio.timeout(10), embedded(config, {"one": build}, Telemetry(), read=lambda: config):
            await part.taken.get()  # also where nothing changed: certificates may have
    finally:
        deaf()


def test_a_changed_secret_is_named_and_not_told() -> None:
    old, new = Config(), Config()
    new = replace(new, oidc=replace(new.oidc, client_secret="s3cret"), services=replace(new.services, token="t"))
    assert list(changed_keys(old, new)) == ["oidc.client_secret", "services.token"]


# The program


@asynccontextmanager
async def administration(folder: Path) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"unix:{folder}/state/headscale.sock") as channel:
        yield server_pb2_grpc.ServerAdminServiceStub(channel)  # type: ignore[no-untyped-call]


async def issuers(stub: Any, ask: Any = None) -> list[str]:
    ask = ask or server_pb2.GetSignInHealthRequest()
    try:
        health = await stub.GetSignInHealth(ask, wait_for_ready=True, timeout=60)
    except grpc.aio.AioRpcError:
        return []
    return [one.accepted_issuer for one in health.providers]


def write(folder: Path, base: str, provider: Provider, secret: str = SECRET) -> None:
    login = f'oidc:\n  issuer: "{provider.issuer}"\n  client_id: "{CLIENT_ID}"\n  client_secret: "{secret}"\n'
    (folder / "config.yaml").write_text(base + login)


async def test_a_hang_up_signal_reloads_the_running_program(tmp_path: Path) -> None:
    write_config(tmp_path, free_port())
    base = (tmp_path / "config.yaml").read_text()
    clock = SystemClock()
    async with provider_on_loopback(clock) as one, provider_on_loopback(clock) as two:
        write(tmp_path, base, one)
        async with headscale(tmp_path, "serve") as process, administration(tmp_path) as stub:
            async with asyncio.timeout(60):
                while await issuers(stub) != [one.issuer]:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
                write(tmp_path, base, two)
                os.kill(process.pid, signal.SIGHUP)
                while await issuers(stub) != [two.issuer]:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            write(tmp_path, base, one, secret="spoilt ")
            answer = await stub.ReloadConfiguration(server_pb2.ReloadConfigurationRequest(), timeout=60)
            assert "begins or ends with a blank" in answer.problems[0]
            assert await issuers(stub) == [two.issuer]
            write(tmp_path, base + "log:\n  level: debug\n", one)
            done = await Shell(tmp_path)("-c", str(tmp_path / "config.yaml"), "oidc", "reload")
            assert (done.status, done.out) == (0, "in use now: log.level, oidc.issuer\n") and await issuers(stub) == [
                one.issuer
            ]
            process.terminate()
            async with asyncio.timeout(30):
                _, err = await process.communicate()
    assert b"configuration reloaded" in err and b"configuration not reloaded" in err
    assert b"Traceback" not in err and SECRET.encode() not in err and process.returncode == 0


@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
async def test_a_process_apart_reloads_at_a_hang_up_signal_and_when_another_one_does(tmp_path: Path) -> None:
    redis, port = RedisServer(tmp_path), free_port()
    base = (
        f"server_url: http://127.0.0.1:8080\nmetrics_listen_addr: ''\nstate_dir: {tmp_path}\nbus:\n  url: {redis.url}\n"
        f"services:\n  token: 0123456789abcdef\n"
        f"  auth:\n    listen_addr: 127.0.0.1:{port}\n    addresses: [127.0.0.1:{port}]\n"
    )
    clock = SystemClock()
    async with provider_on_loopback(clock) as one, provider_on_loopback(clock) as two:
        write(tmp_path, base, one)
        config = load(tmp_path / "config.yaml", {})
        await redis.start()
        bus = await connect_bus(redis.url, token=config.services.token)
        elsewhere = Reloader(config, lambda: config, bus)
        try:
            async with (
                headscale(tmp_path, "serve", "auth") as process,
                dial([f"127.0.0.1:{port}"], config.services) as way,
            ):
                stub = auth_pb2_grpc.AuthServiceStub(way)  # type: ignore[no-untyped-call]

                async def uses(provider: Provider) -> None:
                    """Wait until it does."""
                    while await issuers(stub, pb.GetSignInHealthRequest()) != [provider.issuer]:
                        assert process.returncode is None
                        await asyncio.sleep(0.05)

                async with asyncio.timeout(90):
                    await uses(one)
                    write(tmp_path, base, two)
                    os.kill(process.pid, signal.SIGHUP)
                    await uses(two)
                    write(tmp_path, base, one)
                    assert not (await elsewhere.reload(tell_others=True)).problems
                    await uses(one)
                process.terminate()
                async with asyncio.timeout(30):
                    _, err = await process.communicate()
            assert process.returncode == 0 and b"Traceback" not in err
        finally:
            await bus.close()
            await redis.stop()
