"""The client side of calls between processes: replicas, metadata of every call, deadlines and retries.

A call waits for a healthy replica until its deadline instead of failing at once, so the restart of a service delays
calls without failing them. Calls that their contract declares repeatable are sent again when their replica dies
(`retry`).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, cast

import grpc
import grpc.aio

from services.shared.config.model import ServicesConfig
from services.shared.rpc.calling import Channel, Deserialize, Q, R, Serialize
from services.shared.rpc.context import MetadataLike
from services.shared.rpc.interceptors import TOKEN
from services.shared.rpc.retry import RetriedCall, attempts_of
from services.shared.rpc.server import MAX_MESSAGE
from services.shared.telemetry.propagation import HEADER, current_traceparent

P = ParamSpec("P")
C = TypeVar("C")

UNARY_TIMEOUT = 10.0
"""Default deadline of a unary call, in seconds."""

_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [{"name": [{}], "waitForReady": True}],
    }
)
CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


def dial(addresses: Sequence[str] | str, security: ServicesConfig) -> OutgoingChannel:
    """Return a lazily connected channel to all replicas of one service.

    An address is `host:port` (a name may stand for many replicas) or `unix:/path`.
    """
    given = (addresses,) if isinstance(addresses, str) else tuple(addresses)
    return OutgoingChannel([_connect(target, security) for target in _targets(given)], security.token)


def _targets(addresses: tuple[str, ...]) -> list[str]:
    """Return the fewest targets: literal addresses of one family form one target, which gRPC balances itself."""
    families: dict[str, list[str]] = {"ipv4": [], "ipv6": []}
    targets: list[str] = []
    for address in addresses:
        host = address.rpartition(":")[0].strip("[]")
        try:
            families[f"ipv{ipaddress.ip_address(host).version}"].append(address)
        except ValueError:
            targets.append(address if address.startswith("unix:") else f"dns:///{address}")
    return [f"{family}:{','.join(found)}" for family, found in families.items() if found] + targets


def _connect(target: str, security: ServicesConfig) -> grpc.aio.Channel:
    tls = security.tls
    if not tls.enabled or target.startswith("unix:"):
        return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
    assert tls.ca_path is not None and tls.key_path is not None and tls.cert_path is not None
    credentials = grpc.ssl_channel_credentials(
        tls.ca_path.read_bytes(), tls.key_path.read_bytes(), tls.cert_path.read_bytes()
    )
    name = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    return grpc.aio.secure_channel(target, credentials, options=(*CHANNEL_OPTIONS, *name))


class _UnaryCalls(grpc.aio.UnaryUnaryMultiCallable[Q, R]):
    """Caller of one unary method: each call has a deadline, and a repeatable one several attempts."""

    def __init__(self, call: grpc.aio.UnaryUnaryMultiCallable[Q, R], attempts: int) -> None:
        self._call = call
        self._attempts = attempts

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.UnaryUnaryCall[Q, R]:
        def send(left: float) -> grpc.aio.UnaryUnaryCall[Q, R]:
            return self._call(
                request,
                timeout=left,
                metadata=metadata,
                credentials=credentials,
                wait_for_ready=wait_for_ready,
                compression=compression,
            )

        whole = UNARY_TIMEOUT if timeout is None else timeout
        return send(whole) if self._attempts == 1 else RetriedCall(send, whole, self._attempts)


class OutgoingChannel(grpc.aio.Channel):
    """Channel that adds the deployment token and the trace to every call, and a deadline to unary calls.

    Also wraps a `LocalChannel`, so that traces cross there too.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel], token: str = "") -> None:
        self._channels = tuple(channels)
        self._generated = cast("tuple[Channel, ...]", self._channels)
        self._fixed: tuple[tuple[str, str], ...] = ((TOKEN, token),) if token else ()
        self._turn = 0

    def unary_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        made = [
            channel.unary_unary(method, request_serializer, response_deserializer, _registered_method)
            for channel in self._generated
        ]
        spread = cast("grpc.aio.UnaryUnaryMultiCallable[Q, R]", self._spread(made))
        return _UnaryCalls(spread, attempts_of(method))

    def unary_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        made = [
            channel.unary_stream(method, request_serializer, response_deserializer, _registered_method)
            for channel in self._generated
        ]
        return cast("grpc.aio.UnaryStreamMultiCallable[Q, R]", self._spread(made))

    def stream_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        made = [
            channel.stream_unary(method, request_serializer, response_deserializer, _registered_method)
            for channel in self._generated
        ]
        return cast("grpc.aio.StreamUnaryMultiCallable[Q, R]", self._spread(made))

    def stream_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        made = [
            channel.stream_stream(method, request_serializer, response_deserializer, _registered_method)
            for channel in self._generated
        ]
        return cast("grpc.aio.StreamStreamMultiCallable[Q, R]", self._spread(made))

    def _spread(self, made: Sequence[Callable[P, C]]) -> Callable[P, C]:
        """Return a callable that adds the metadata and calls the next ready replica."""

        def invoke(*request: P.args, **options: P.kwargs) -> C:
            options["metadata"] = self._carried(cast("MetadataLike | None", options.get("metadata")))
            return made[self._pick()](*request, **options)

        return invoke

    def _carried(self, metadata: MetadataLike | None) -> tuple[tuple[str, str | bytes], ...]:
        traceparent = current_traceparent()
        trace = ((HEADER, traceparent),) if traceparent else ()
        return (*(metadata or ()), *self._fixed, *trace)

    def _pick(self) -> int:
        count = len(self._channels)
        if count == 1:
            return 0
        self._turn = (self._turn + 1) % count
        order = [(self._turn + step) % count for step in range(count)]
        ready = grpc.ChannelConnectivity.READY
        return next((index for index in order if self._channels[index].get_state(True) is ready), order[0])

    async def close(self, grace: float | None = None) -> None:
        """End all calls and connections."""
        for channel in self._channels:
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return READY if any replica is."""
        states = [channel.get_state(try_to_connect) for channel in self._channels]
        ready = grpc.ChannelConnectivity.READY
        return ready if ready in states else states[0]

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the first connection is in another state."""
        await self._channels[0].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the first connection is ready."""
        await self._channels[0].channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        await self.close()
        return None
