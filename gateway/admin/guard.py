"""Who may call from outside: API keys, and how often each key and each address may call. One guard for every wire."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2

from gateway.admin import author
from gateway.admin.metrics import AdminMetrics
from gateway.admin.stubs import Refused, Services
from gateway.rate import Buckets, network_of

BURST_SECONDS = 4
GUESSES_PER_SECOND = 0.5
"""How fast an address that sent many wrong keys may send more."""
MAX_HEADER = 1024
MAX_PROVEN = 1024
"""Keys that are remembered, by digest, to have been valid."""
_SCHEME = "Bearer "


class Guard:
    """Lets calls with a valid API key through. Statuses and texts are Headscale's.

    Every call has its key verified. One that was valid a moment ago is not held up by what others send from the same
    address, which may be that of a proxy.
    """

    def __init__(
        self,
        services: Services,
        metrics: AdminMetrics,
        per_second: int,
        wrong_keys: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._metrics = metrics
        self._now = now
        self._keys = Buckets(per_second * BURST_SECONDS, per_second)
        self._addresses = Buckets(per_second * BURST_SECONDS, per_second)
        self._guesses = Buckets(wrong_keys, GUESSES_PER_SECOND)
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    async def admit(self, authorization: str | None, address: str) -> None:
        """Return when the call may be made.

        Raises:
            Refused: no key, a wrong one, or too many calls.
        """
        try:
            await self._admit(authorization, address)
        except Refused as refusal:
            self._metrics.refused.labels(refusal.code.name).inc()
            raise

    async def _admit(self, authorization: str | None, address: str) -> None:
        network = network_of(address)
        key, no_key = _key_in(authorization)
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        if digest not in self._proven:
            self._count(self._addresses, network, "too many calls from this address")
            if no_key:  # which is no guess
                raise Refused(grpc.StatusCode.UNAUTHENTICATED, no_key)
            if wait := self._guesses.wait(network, self._now()):
                raise _too_many("too many wrong keys from this address", wait)
        try:
            answer = await self._services.auth.VerifyApiKey(auth_pb2.VerifyApiKeyRequest(key=key), timeout=5.0)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT):
                self._proven.pop(digest, None)
                self._guesses.take(network, self._now())
                raise Refused(grpc.StatusCode.UNAUTHENTICATED, "invalid token") from None
            raise Refused(grpc.StatusCode.UNAVAILABLE, "validating token") from None
        self._remember(digest)
        self._count(self._keys, str(answer.api_key.id), "too many calls with this api key")
        author.note_key(answer.api_key.prefix)

    def _remember(self, digest: bytes) -> None:
        self._proven[digest] = None
        self._proven.move_to_end(digest)
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)

    def _count(self, buckets: Buckets, caller: str, text: str) -> None:
        now = self._now()
        if wait := buckets.wait(caller, now):
            raise _too_many(text, wait)
        buckets.take(caller, now)


def _key_in(authorization: str | None) -> tuple[str, str]:
    """The key in a header, and what is wrong when there is none."""
    if not authorization:
        return "", "authorization token not supplied"
    if not authorization.startswith(_SCHEME):
        return "", 'missing "Bearer " prefix in "authorization" header'
    if len(authorization) > MAX_HEADER:
        return "", "invalid token"
    return authorization.removeprefix(_SCHEME).strip(), ""


def _too_many(text: str, wait: int) -> Refused:
    return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{text}; try again in {wait} s", retry_after=wait)
