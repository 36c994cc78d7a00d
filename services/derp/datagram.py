"""The STUN socket: reads requests, and answers each from the address it was sent to. Knows no STUN attribute.

A host with several addresses would otherwise answer from the one its routes prefer, and the client, or the NAT in front
of it, would drop the response. The kernel reports the address with each datagram (IP_PKTINFO), and takes it on sending.
"""

from __future__ import annotations

import asyncio
import socket
from functools import lru_cache
from typing import Final

from services.derp import stun
from services.derp.listener import bind

_IP_PKTINFO: Final = 8  # linux/in.h; the socket module has the name since Python 3.12 only
_BATCH = 64
_RECEIVE_BUFFER = 1 << 20
_KNOWN = 256
"""Maximum number of cached packet informations, one per address of this host."""
_ANCILLARY_SIZE = socket.CMSG_SPACE(64)


class StunSocket:
    """A UDP socket that answers STUN requests, for one address family or both."""

    def __init__(self, address: str) -> None:
        """Bind at once, so that a taken port is an error of the start."""
        self._socket = bind(address, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self.port: int = self._socket.getsockname()[1]
        self.answered = 0
        self.ignored = 0

    def start(self) -> None:
        """Start answering."""
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def stop(self) -> None:
        """Close the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        """Answer one batch, then yield to the event loop; the socket stays readable if more datagrams wait."""
        receive, send = self._socket.recvmsg, self._socket.sendmsg
        for _ in range(_BATCH):
            try:
                data, ancillary, _, source = receive(stun.MAX_REQUEST + 1, _ANCILLARY_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error about an earlier answer
            reply = stun.answer(data, packed(source[0]), source[1])
            if reply is None:
                self.ignored += 1
                continue
            try:
                send((reply,), [_answer_from(*one) for one in ancillary], 0, source)
            except OSError:
                self.ignored += 1  # no route back, or the send buffer is full: the client asks again
            else:
                self.answered += 1


def packed(host: str) -> bytes:
    """Return the packed bytes of an address, without an IPv6 zone."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return socket.inet_aton(host)


@lru_cache(_KNOWN)
def _answer_from(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """Return the packet information with the destination as source; the routes select the interface."""
    if level == socket.IPPROTO_IP:
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    scoped = data[:2] == b"\xfe\x80"
    return level, kind, data[:16] + (data[16:20] if scoped else bytes(4))
