"""The chain's step `identify`: who calls, by API key or unix socket. Limits the rate of each caller.

Every key is verified before anything is counted against its sender, because an address may be that of a proxy or of
a whole office: wrong keys are limited, a right one never is because of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2
from smartscale.types.v1 import key_pb2

from gateway.admin.context import Arrival, ProvenCaller
from gateway.admin.metrics import AdminMetrics
from gateway.admin.refusal import Refused
from gateway.admin.services import Services
from services.shared.rate import Buckets, Rate, network_of
from services.shared.rpc.caller import Caller

Answer = TypeVar("Answer")

BURST_SECONDS = 4
GUESSES_PER_SECOND = 0.5
"""Rate at which an address that sent many wrong keys may send more before they are answered with a delay."""
MAX_HEADER = 1024
MAX_PROVEN = 1024
"""Maximum number of keys remembered, by digest, as valid a moment ago."""
LANE = 4
"""Concurrent verifications for all addresses over their limit of wrong keys."""
MAX_WAITING = 64
"""Verifications that may wait for the lane: at about a millisecond each, a tenth of a second."""
_SCHEME = "Bearer "


class Guard:
    """Identifies callers by API key or by the unix socket. Statuses and texts of refusals are Headscale's."""

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
        calls = Rate(per_second * BURST_SECONDS, per_second)
        self._keys = Buckets(calls)
        self._addresses = Buckets(calls)
        self._guesses = Buckets(Rate(wrong_keys, GUESSES_PER_SECOND))
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self._lane = asyncio.Semaphore(LANE)
        self._waiting = 0

    async def identify(self, arrival: Arrival) -> ProvenCaller:
        """Return the proven caller of a call and what its credential permits.

        Raises:
            Refused: no key, a wrong one, or too many calls.
        """
        if arrival.trusted:
            return ProvenCaller(Caller(arrival.wire, system_user=arrival.system_user))
        try:
            return await self._identify(arrival)
        except Refused as refusal:
            self._metrics.refused.labels(refusal.code.name).inc()
            raise

    async def issue_token(
        self, arrival: Arrival, request: auth_pb2.IssueAccessTokenRequest
    ) -> auth_pb2.IssueAccessTokenResponse:
        """Exchange the secret of an OAuth client for an access token, under the limits of wrong keys.

        Raises:
            Refused: the secret is wrong, more is asked than the client has, or there are too many attempts.
        """
        network = network_of(arrival.address)
        digest = _digest(request.secret)
        async with self._room_for(digest, network):
            answer: auth_pb2.IssueAccessTokenResponse = await self._prove(
                self._services.auth.IssueAccessToken(request, timeout=5.0), digest, network
            )
        self._remember(digest)
        self._count(self._keys, digest.hex(), "too many tokens for this client")
        return answer

    async def _identify(self, arrival: Arrival) -> ProvenCaller:
        network = network_of(arrival.address)
        key, problem = _key_in(arrival.authorization)
        if problem:
            self._count(self._addresses, network, "too many calls from this address")
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, problem)
        digest = _digest(key)
        async with self._room_for(digest, network):
            question = self._services.auth.VerifyApiKey(auth_pb2.VerifyApiKeyRequest(key=key), timeout=5.0)
            answer: auth_pb2.VerifyApiKeyResponse = await self._prove(question, digest, network)
        self._remember(digest)
        grant = answer.grant
        self._count(self._keys, grant.id, "too many calls with this api key")
        if grant.kind == key_pb2.KEY_KIND_API:
            caller = Caller(arrival.wire, arrival.address, grant.id)
        else:
            caller = Caller(arrival.wire, arrival.address, oauth_client=grant.id)
        return ProvenCaller(caller, frozenset(grant.scopes), tuple(grant.tags) if grant.limited_to_tags else None)

    @asynccontextmanager
    async def _room_for(self, digest: bytes, network: str) -> AsyncIterator[None]:
        """Wait for one of the few verifications shared by networks over their limit of wrong keys."""
        if digest in self._proven or not self._guesses.wait(network, self._now()):
            yield
            return
        if self._waiting >= MAX_WAITING:
            raise self._too_many_guesses(network)
        self._waiting += 1
        try:
            async with self._lane:
                yield
        finally:
            self._waiting -= 1

    async def _prove(self, question: Awaitable[Answer], digest: bytes, network: str) -> Answer:
        """Return the answer to a question that proves a secret; a wrong secret counts against its network."""
        try:
            return await question
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise Refused(error.code(), error.details() or "") from None
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise Refused(grpc.StatusCode.UNAVAILABLE, "validating token") from None
            self._proven.pop(digest, None)
            if self._guesses.wait(network, self._now()):
                raise self._too_many_guesses(network) from None
            self._guesses.take(network, self._now())
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "invalid token") from None

    def _too_many_guesses(self, network: str) -> Refused:
        return _too_many("too many wrong keys from this address", max(1, self._guesses.wait(network, self._now())))

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


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _key_in(authorization: str | None) -> tuple[str, str]:
    """Read a header: the key, and the text of the refusal where there is none."""
    if not authorization:
        return "", "authorization token not supplied"
    if not authorization.startswith(_SCHEME):
        return "", 'missing "Bearer " prefix in "authorization" header'
    if len(authorization) > MAX_HEADER:
        return "", "invalid token"
    return authorization.removeprefix(_SCHEME).strip(), ""


def _too_many(text: str, wait: int) -> Refused:
    return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{text}; try again in {wait} s", retry_after=wait)
