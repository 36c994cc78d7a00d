"""Examines the embedded relay and its STUN server at the address that the DERP map gives clients."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.doctor.asking import NoAnswerError, ask, reason
from services.auth.doctor import DoctorReport
from services.derp.stun import write_request

if TYPE_CHECKING:
    from services.shared.config import Config

_TRIES, _SECONDS = 3, 1.0
_ANSWER = b"\x01\x01"


def examine(config: Config) -> DoctorReport:
    """Probe the relay over HTTP(S) and STUN over UDP, at the host that the DERP map names."""
    report = DoctorReport("relay")
    server = config.derp.server
    if not server.enabled:
        report.ok("relay", "relays of others are used: derp.urls, derp.paths")
        return report
    host = server.hostname or urlsplit(config.server_url).hostname or ""
    for scheme, address in (("https", server.listen_addr), ("http", server.http_listen_addr)):
        if address and not address.endswith(":0"):
            _probe(report, scheme, host, address)
    if server.stun.enabled and server.stun_listen_addr:
        _stun(report, host, server.stun_listen_addr)
    return report


def _probe(report: DoctorReport, scheme: str, host: str, address: str) -> None:
    port = address.rpartition(":")[2]
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/derp/probe"
    remedy = f"open port {port}/tcp on the way here, and see the server's log"
    try:
        answer = ask(url)
    except NoAnswerError as error:
        report.fail("relay", f"{url}: {error}", "peers without a direct way cannot talk", remedy)
        return
    if answer.status == 200:
        report.ok("relay", f"{url} answers")
    else:
        cause = "another program or a proxy answers there"
        report.fail("relay", f"{url} answers {answer.status}, not as a relay does", cause, remedy)


def _stun(report: DoctorReport, host: str, address: str) -> None:
    port = int(address.rpartition(":")[2])
    transaction = secrets.token_bytes(12)
    try:
        seen = _binding(host, port, transaction)
    except OSError as error:
        seen, text = False, reason(error)
    else:
        text = f"no answer to {_TRIES} requests"
    if seen:
        report.ok("stun", f"{host} port {port}/udp answers")
        return
    cause = "clients cannot learn their own address, so that fewer of their connections are direct"
    report.fail("stun", f"{host} port {port}/udp: {text}", cause, f"open port {port}/udp on the way here")


def _binding(host: str, port: int, transaction: bytes) -> bool:
    """Send a client's STUN request a few times; return whether its answer came."""
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.settimeout(_SECONDS)
        probe.connect(target)
        for _ in range(_TRIES):
            probe.send(write_request(transaction))
            try:
                answer = probe.recv(1500)
            except TimeoutError:
                continue
            if answer.startswith(_ANSWER) and answer[8:20] == transaction:
                return True
    return False
