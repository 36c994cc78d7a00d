"""Who may call from outside: API keys, and how often each key and each address may call. One guard for every wire."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2

from gateway.admin import author
from gateway.admin.rate import Buckets, network_of
from gateway.admin.stubs import Refused, Services

BURST_SECONDS = 4
GUESSES = 20
"""Wrong keys that an address may send at once; after that one every two seconds."""
MAX_HEADER = 1024
_SCHEME = "Bearer "


class Guard:
    """Lets calls with a valid API key through. Statuses and texts are Headscale's."""

    def __init__(self, services: Services, per_second: int, now: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._now = now
        self._keys = Buckets(per_second * BURST_SECONDS, per_second)
        self._addresses = Buckets(per_second * BURST_SECONDS, per_second)
        self._guesses = Buckets(GUESSES, 0.5)

    async def admit(self, authorization: str | None, address: str) -> None:
        """Return when the call may be made.

        Raises:
            Refused: no key, a wrong one, or too many calls.
        """
        network = network_of(address)
        self._count(self._addresses, network, "too many calls from this address")
        key = _key_in(authorization)
        if wait := self._guesses.wait(network, self._now()):
            raise _too_many("too many wrong keys from this address", wait)
        try:
            answer = await self._services.auth.VerifyApiKey(auth_pb2.VerifyApiKeyRequest(key=key), timeout=5.0)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT):
                self._guesses.take(network, self._now())
                raise Refused(grpc.StatusCode.UNAUTHENTICATED, "invalid token") from None
            raise Refused(grpc.StatusCode.UNAVAILABLE, "validating token") from None
        self._count(self._keys, str(answer.api_key.id), "too many calls with this api key")
        author.note_key(answer.api_key.prefix)

    def _count(self, buckets: Buckets, caller: str, text: str) -> None:
        now = self._now()
        if wait := buckets.wait(caller, now):
            raise _too_many(text, wait)
        buckets.take(caller, now)


def _key_in(authorization: str | None) -> str:
    if not authorization:
        raise Refused(grpc.StatusCode.UNAUTHENTICATED, "authorization token not supplied")
    if not authorization.startswith(_SCHEME):
        raise Refused(grpc.StatusCode.UNAUTHENTICATED, 'missing "Bearer " prefix in "authorization" header')
    return authorization[:MAX_HEADER].removeprefix(_SCHEME).strip()


def _too_many(text: str, wait: int) -> Refused:
    return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{text}; try again in {wait} s", retry_after=wait)
