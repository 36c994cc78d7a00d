"""The relay's calls to the registry: admission of clients, and the relay's announcement. No other module makes any."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import grpc
import grpc.aio
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1.relay_pb2 import Relay

from services.shared.background import Background
from services.shared.keys import NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

VERIFY_SECONDS = 5.0
ALLOWED_FOR = 15.0
REFUSED_FOR = 1.0
ANNOUNCE_EVERY = 60.0
_CACHED = 16_384
_AT_ONCE = 64
_RETRY_FIRST = 0.5
_RETRY_MOST = 10.0


class RegistryAdmission:
    """Admits the nodes that the registry verifies; a `RelayAdmission`.

    Responses are cached for some seconds, so a client that reconnects, or a flood with one key, costs the registry
    little. While the registry does not respond, no new client is admitted unless the operator chose to fail open.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock, *, fail_open: bool = False) -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._clock = clock
        self._fail_open = fail_open
        self._known: OrderedDict[NodeKey, tuple[bool, float, int]] = OrderedDict()
        self._keys: dict[int, set[bytes]] = {}
        self._asking: dict[NodeKey, asyncio.Task[bool | None]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        """Return whether the registry has a node with this key that is not expired."""
        known = self._known.get(node_key)
        if known is not None and known[1] > self._clock.monotonic():
            return known[0]
        task = self._asking.get(node_key)
        if task is None:
            # A bare task: its result, or its failure, is that of every caller that awaits it.
            task = asyncio.get_running_loop().create_task(self._ask(node_key))
            self._asking[node_key] = task
            task.add_done_callback(lambda _: self._asking.pop(node_key, None))
        # Callers share one request per key; the cancellation of one caller must not cancel it for the others.
        answer = await asyncio.shield(task)
        return self._fail_open if answer is None else answer

    async def ask_again(self, node_key: NodeKey) -> bool | None:
        """Verify a key without the cache. Returns None if the registry does not respond. Never raises."""
        return await self._ask(node_key)

    def keys_of(self, node_id: int) -> frozenset[bytes]:
        """Return the raw keys under which a node was admitted, among the cached responses."""
        return frozenset(self._keys.get(node_id, ()))

    async def _ask(self, node_key: NodeKey) -> bool | None:
        request = registry_pb2.VerifyNodeKeyRequest(node_key=node_key.raw)
        try:
            async with asyncio.timeout(2 * VERIFY_SECONDS), self._room:
                answer = await self._stub.VerifyNodeKey(request, timeout=VERIFY_SECONDS)
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            reason = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "no answer in time"
            log.warning("client verification failed", reason=reason, admitted=self._fail_open)
            return None
        allow = bool(answer.allow)
        self._remember(node_key, allow, answer.node_id)
        return allow

    def _remember(self, node_key: NodeKey, allow: bool, node_id: int) -> None:
        self._forget(node_key)
        until = self._clock.monotonic() + (ALLOWED_FOR if allow else REFUSED_FOR)
        self._known[node_key] = (allow, until, node_id)
        if allow:
            self._keys.setdefault(node_id, set()).add(node_key.raw)
        if len(self._known) > _CACHED:
            self._forget(next(iter(self._known)))

    def _forget(self, node_key: NodeKey) -> None:
        _, _, node_id = self._known.pop(node_key, (False, 0.0, 0))
        keys = self._keys.get(node_id)
        if keys is not None:
            keys.discard(node_key.raw)
            if not keys:
                del self._keys[node_id]


class Announcer:
    """Announces the relay to the registry, at once and then periodically as a heartbeat."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        record: Callable[[], Relay],
        telemetry: Telemetry | None = None,
    ) -> None:
        """`record` is called for each announcement, because the certificate may have been replaced."""
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._record = record
        self._background = Background(telemetry or Telemetry())
        self.announced = asyncio.Event()

    def start(self) -> None:
        """Start announcing."""
        self._background.keep(self._announce_all, "relay announcement")

    async def stop(self) -> None:
        """Stop announcing."""
        await self._background.stop()

    async def _announce_all(self) -> None:
        retry = _RETRY_FIRST
        while True:
            try:
                await self._announce()
            except grpc.aio.AioRpcError as error:
                log.warning("relay announcement failed", reason=error.code().name, detail=error.details() or "")
                await asyncio.sleep(retry)
                retry = min(_RETRY_MOST, retry * 2)
                continue
            retry = _RETRY_FIRST
            self.announced.set()
            await asyncio.sleep(ANNOUNCE_EVERY)

    async def _announce(self) -> None:
        request = registry_pb2.AnnounceRelayRequest(relay=self._record())
        await self._stub.AnnounceRelay(request, timeout=VERIFY_SECONDS)
