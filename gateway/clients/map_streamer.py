"""The one stream between this gateway and a map streamer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc as pb_grpc

from gateway.clients.failure import raise_failure


class MapStreamerClient:
    """Attaches to one map streamer."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub = pb_grpc.MapStreamerServiceStub(channel)
        self.address = address

    async def attach(self, requests: AsyncIterator[pb.AttachRequest]) -> AsyncIterator[pb.AttachResponse]:
        """Open the stream; ends when the map streamer ends it, closed by closing the iterator.

        The stream has no deadline: HTTP/2 keep-alive pings of the channel notice a dead peer.

        Raises:
            ServiceError: the stream broke, or could not be opened.
        """
        call = self._stub.Attach(requests)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        finally:
            call.cancel()
