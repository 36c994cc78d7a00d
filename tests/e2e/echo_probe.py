"""Numbered datagrams over the tailnet through a SOCKS proxy, each answered by its receiver: a program for a lab's host.

A probe is a QUIC long header of a version that nobody speaks (RFC 9000, section 6): the receiver answers each with the
versions that it has, and sends the connection id back, which is the number. Nothing is sent again, so that each number
without an answer is a datagram lost on one of the two ways. It knows nothing of Tailscale.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

LENGTH = 1200
"""Bytes of a probe: servers ignore shorter first packets (RFC 9000, section 14.1)."""

INTERVAL = 0.02
"""Seconds between two probes to one receiver."""

_HEADER = struct.Struct("!BIB8sB8s")
"""First byte, version, length and bytes of the receiver's connection id, then of the sender's."""

_UNKNOWN_VERSION = 0x1A2A3A4A


def probe(number: int) -> bytes:
    """Return the probe of a number."""
    identity = number.to_bytes(8, "big")
    return _HEADER.pack(0xC0, _UNKNOWN_VERSION, 8, identity, 8, identity).ljust(LENGTH, b"\0")


def answered(datagram: bytes) -> int | None:
    """Return the number that a version negotiation packet answers, or None if it is none."""
    if len(datagram) < _HEADER.size:
        return None
    _, version, _, identity, _, _ = _HEADER.unpack_from(datagram)
    return int.from_bytes(identity, "big") if version == 0 else None


@dataclass
class Flow:
    """What was sent to one receiver, and when each answer came (seconds of this machine's monotonic clock)."""

    receiver: str
    sent: dict[int, float] = field(default_factory=dict)
    answers: dict[int, float] = field(default_factory=dict)


class Association:
    """A UDP association of a SOCKS5 proxy (RFC 1928, section 7)."""

    def __init__(self, proxy: tuple[str, int]) -> None:
        self.control = socket.create_connection(proxy, 10)
        self.control.sendall(b"\x05\x01\x00")
        assert self.control.recv(2) == b"\x05\x00"
        self.control.sendall(b"\x05\x03\x00\x01" + bytes(6))
        answer = self.control.recv(10)
        assert answer[:2] == b"\x05\x00" and answer[3] == 1, answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setblocking(False)
        self.socket.connect((proxy[0], int.from_bytes(answer[8:10], "big")))

    def send(self, address: str, port: int, data: bytes) -> None:
        """Send a datagram to an address behind the proxy."""
        self.socket.send(b"\0\0\0\x01" + socket.inet_aton(address) + port.to_bytes(2, "big") + data)

    def receive(self) -> bytes:
        """Receive what a datagram from behind the proxy carries."""
        return self.socket.recv(65535)[10:]


def run(proxy: tuple[str, int], receivers: list[str], result: Path, patience: float) -> None:
    """Send until SIGTERM, wait `patience` seconds for the last answers, and write what came of each flow."""
    flows = [(Flow(receiver), Association(proxy)) for receiver in receivers]
    selector = selectors.DefaultSelector()
    for flow, association in flows:
        selector.register(association.socket, selectors.EVENT_READ, (flow, association))
    ending: list[float] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(time.monotonic() + patience))
    number, due = 0, time.monotonic()
    print("sending", flush=True)
    while not ending or (time.monotonic() < ending[0] and _waits(flows)):
        now = time.monotonic()
        if not ending and now >= due:
            number, due = number + 1, due + INTERVAL
            for flow, association in flows:
                flow.sent[number] = now
                association.send(flow.receiver, 443, probe(number))
        for key, _ in selector.select(max(0.0, min(due - now, INTERVAL)) if not ending else INTERVAL):
            flow, association = key.data
            if (back := answered(association.receive())) is not None:
                flow.answers.setdefault(back, time.monotonic())
    result.write_text(json.dumps([vars(flow) for flow, _ in flows]))


def _waits(flows: list[tuple[Flow, Association]]) -> bool:
    return any(len(flow.answers) < len(flow.sent) for flow, _ in flows)


if __name__ == "__main__":
    run(("127.0.0.1", int(sys.argv[1])), sys.argv[4:], Path(sys.argv[2]), float(sys.argv[3]))
