"""Pre-auth keys and API keys as administrators see them, against the whole auth service."""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from pathlib import Path

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from smartscale.auth.v1 import auth_pb2 as pb
from sqlalchemy import text

from services.shared.db.database import create_engine, read
from services.shared.telemetry import Telemetry
from services.shared.telemetry.logs import JsonFormatter
from tests.fakes.auth import AuthTailnet, auth_tailnet, config_for


async def status_of(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call  # type: ignore[misc]
    return error.value.code()


async def api_key(tailnet: AuthTailnet, **fields: object) -> pb.CreateApiKeyResponse:
    return await tailnet.stub.CreateApiKey(pb.CreateApiKeyRequest(**fields))


async def verify(tailnet: AuthTailnet, key: str) -> pb.ApiKey:
    return (await tailnet.stub.VerifyApiKey(pb.VerifyApiKeyRequest(key=key))).api_key


class TestPreAuthKeys:
    async def test_the_secret_is_shown_once(self, tailnet: AuthTailnet) -> None:
        made = (await tailnet.stub.CreatePreAuthKey(pb.CreatePreAuthKeyRequest(user_id=1, tags=["tag:a"]))).pre_auth_key
        _, _, prefix, secret = made.key.split("-")
        assert (len(prefix), len(secret)) == (12, 64)
        assert made.expiration.ToDatetime(UTC) == tailnet.clock.now() + timedelta(hours=1)
        (listed,) = (await tailnet.stub.ListPreAuthKeys(pb.ListPreAuthKeysRequest())).pre_auth_keys
        assert listed.key == f"hskey-auth-{prefix}-***"
        listed.key = made.key
        assert listed == made

    async def test_neither_table_nor_log_holds_a_secret(
        self, tailnet: AuthTailnet, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        keys = [await tailnet.key(user=1), (await api_key(tailnet)).key]
        await tailnet.client().register(auth_key=keys[0])
        await tailnet.client().register(auth_key=keys[0])
        await tailnet.client().register(auth_key=keys[0] + "x")
        await verify(tailnet, keys[1])
        engine = create_engine(tailnet.config.database)
        async with read(engine) as connection:
            rows = [
                str((await connection.execute(text(f"SELECT * FROM {table}"))).all())
                for table in ("auth_preauth_keys", "auth_api_keys")
            ]
        await engine.dispose()
        logged = [JsonFormatter().format(record) for record in caplog.records]
        for key in keys:
            secret = key.rsplit("-", 1)[1]
            assert not any(secret in line for line in (*rows, *logged))
        assert any("node admitted" in line for line in logged)

    async def test_spans_and_metrics_say_how_it_ended_and_nothing_more(self, tmp_path: Path) -> None:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        telemetry = Telemetry(tracer=provider.get_tracer("test"))
        async with auth_tailnet(config_for(tmp_path), telemetry=telemetry) as tailnet:
            tailnet.registry.add_user("alice")
            key = await tailnet.key(user=1)
            await tailnet.client().register(auth_key=key)
            await tailnet.client().register(auth_key=key)
            assert await status_of(tailnet.client().register(node_key=key[-32:].encode(), hostinfo=b"{")) is not None
        spans = exporter.get_finished_spans()
        endings = [span.attributes.get("smartscale.outcome") for span in spans if span.attributes is not None]
        assert [ending for ending in endings if ending] == ["admitted", "refused"]
        assert not any(key[-16:] in span.to_json() for span in spans)
        count = telemetry.registry.get_sample_value("smartscale_registrations_total", {"outcome": "refused"})
        assert count == 1

    async def test_the_list_is_by_user(self, tailnet: AuthTailnet) -> None:
        await tailnet.key(user=1)
        await tailnet.key(user=2)
        listed = (await tailnet.stub.ListPreAuthKeys(pb.ListPreAuthKeysRequest(user_id=2))).pre_auth_keys
        assert [key.user_id for key in listed] == [2]

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"user_id": 99}, grpc.StatusCode.NOT_FOUND),
            ({"user_id": (1 << 64) - 1}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"user_id": 1, "tags": ["web"]}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"tags": [f"tag:a{n}" for n in range(65)]}, grpc.StatusCode.INVALID_ARGUMENT),
        ],
    )
    async def test_a_key_for_nobody_is_not_made(
        self, tailnet: AuthTailnet, fields: dict[str, object], code: grpc.StatusCode
    ) -> None:
        call = tailnet.stub.CreatePreAuthKey(pb.CreatePreAuthKeyRequest(**fields))
        assert await status_of(call) is code

    async def test_an_ended_or_forgotten_key_admits_nobody(self, tailnet: AuthTailnet) -> None:
        ended, forgotten = await tailnet.key(user=1), await tailnet.key(user=1)
        await tailnet.stub.ExpirePreAuthKey(pb.ExpirePreAuthKeyRequest(id=1))
        await tailnet.stub.DeletePreAuthKey(pb.DeletePreAuthKeyRequest(id=2))
        assert (await tailnet.client().register(auth_key=ended)).refused == "auth key expired"
        assert (await tailnet.client().register(auth_key=forgotten)).refused == "invalid auth key"
        assert await status_of(tailnet.stub.ExpirePreAuthKey(pb.ExpirePreAuthKeyRequest(id=2)))
        assert (
            await status_of(tailnet.stub.DeletePreAuthKey(pb.DeletePreAuthKeyRequest(id=2)))
            is grpc.StatusCode.NOT_FOUND
        )


class TestApiKeys:
    async def test_a_key_opens_for_ninety_days(self, tailnet: AuthTailnet) -> None:
        made = await api_key(tailnet)
        assert made.key.startswith(f"hskey-api-{made.api_key.prefix}-")
        assert (await verify(tailnet, made.key)).id == made.api_key.id
        tailnet.clock.advance(timedelta(days=90))
        call = tailnet.stub.VerifyApiKey(pb.VerifyApiKeyRequest(key=made.key))
        assert await status_of(call) is grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize(
        "key", ["", "nonsense", "hskey-api-abcdefghijkl-" + "0" * 64, "a.b", "x" * 100_000, "\x00"]
    )
    async def test_what_is_no_key_does_not(self, tailnet: AuthTailnet, key: str) -> None:
        call = tailnet.stub.VerifyApiKey(pb.VerifyApiKeyRequest(key=key))
        assert await status_of(call) is grpc.StatusCode.UNAUTHENTICATED

    async def test_a_pre_auth_key_is_no_api_key(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        call = tailnet.stub.VerifyApiKey(pb.VerifyApiKeyRequest(key=key))
        assert await status_of(call) is grpc.StatusCode.UNAUTHENTICATED
        made = await api_key(tailnet)
        assert (await tailnet.client().register(auth_key=made.key)).refused

    async def test_the_older_form_is_read(self, tailnet: AuthTailnet) -> None:
        made = await api_key(tailnet)
        prefix, secret = made.key.removeprefix("hskey-api-").split("-")
        assert (await verify(tailnet, f"{prefix}.{secret}")).id == made.api_key.id

    async def test_use_is_written_down_at_most_once_a_minute(self, tailnet: AuthTailnet) -> None:
        made = await api_key(tailnet)
        assert not made.api_key.HasField("last_seen")
        began = tailnet.clock.now()
        seen = []
        for _ in range(5):
            await verify(tailnet, made.key)
            (listed,) = (await tailnet.stub.ListApiKeys(pb.ListApiKeysRequest())).api_keys
            seen.append((listed.last_seen.ToDatetime(UTC) - began).total_seconds())
            tailnet.clock.advance(25)
        assert seen == [0, 0, 0, 75, 75]

    async def test_it_is_ended_and_forgotten_by_one_name(self, tailnet: AuthTailnet) -> None:
        one, two = (await api_key(tailnet)).api_key, (await api_key(tailnet)).api_key
        await tailnet.stub.ExpireApiKey(pb.ExpireApiKeyRequest(prefix=f"hskey-api-{one.prefix}-***"))
        await tailnet.stub.ExpireApiKey(pb.ExpireApiKeyRequest(id=two.id))
        await tailnet.stub.DeleteApiKey(pb.DeleteApiKeyRequest(prefix=one.prefix))
        await tailnet.stub.DeleteApiKey(pb.DeleteApiKeyRequest(id=two.id))
        assert not (await tailnet.stub.ListApiKeys(pb.ListApiKeysRequest())).api_keys
        for request in (
            pb.DeleteApiKeyRequest(),
            pb.DeleteApiKeyRequest(id=1, prefix="x"),
        ):
            assert await status_of(tailnet.stub.DeleteApiKey(request)) is grpc.StatusCode.INVALID_ARGUMENT
        call = tailnet.stub.DeleteApiKey(pb.DeleteApiKeyRequest(id=two.id))
        assert await status_of(call) is grpc.StatusCode.NOT_FOUND
