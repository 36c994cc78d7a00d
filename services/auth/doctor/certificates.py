"""Examines the connection to a host, like `openssl s_client -showcerts`: name, port, and certificate chain.

A host whose certificate is not valid is connected to again without verification, only to read its certificates.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from services.auth.doctor.report import DoctorReport
from services.auth.model.oidc.discovery import is_loopback

RETRY_SECONDS = 10.0
SOON = timedelta(days=14)

_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_IN_CHAIN, _NO_ISSUER, _NO_LOCAL, _NAME = 10, 9, 18, 19, 21, 20, 62
"""OpenSSL's numbers (x509_vfy.h)."""


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """The TLS version and certificates of a host."""

    version: str = ""
    chain: tuple[x509.Certificate, ...] = ()
    code: int = 0
    """OpenSSL's error number; 0: the certificate is valid."""
    message: str = ""


async def examine_way(report: DoctorReport, url: str, ca_path: Path | None, now: datetime, *, ca_key: str) -> bool:
    """Resolve, connect and handshake. Returns whether further checks are possible."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if not await _examine_name(report, host):
        return False
    if not await _examine_port(report, host, port):
        return False
    if parts.scheme == "https":
        return await _examine_tls(report, host, port, ca_path, now, ca_key)
    if is_loopback(host):
        report.ok("tls", "http to a loopback host: for trials only")
        return True
    report.fail("tls", f"{url} is http", "sign-in needs https", "write https:// and give the host a certificate")
    return False


async def _examine_name(report: DoctorReport, host: str) -> bool:
    try:
        async with asyncio.timeout(RETRY_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        cause = f"no address is known for it here ({type(error).__name__})"
        report.fail("dns", f"{host} cannot be resolved", cause, "check the name, and the resolver of this host")
        return False
    addresses = sorted({str(item[4][0]) for item in found})
    report.ok("dns", f"{host} is {', '.join(addresses)}")
    return True


async def _examine_port(report: DoctorReport, host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(RETRY_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        what = "does not answer in time" if isinstance(error, TimeoutError) else f"refuses ({type(error).__name__})"
        report.fail("tcp", f"{host} port {port} {what}", "nothing listens, or a firewall is between", "open the way")
        return False
    writer.close()
    report.ok("tcp", f"{host} port {port} answers")
    return True


async def _examine_tls(
    report: DoctorReport, host: str, port: int, ca_path: Path | None, now: datetime, ca_key: str
) -> bool:
    try:
        shown = await asyncio.to_thread(_shake, host, port, ca_path)
    except OSError as error:
        report.fail(
            "tls", f"{host} does not speak TLS ({type(error).__name__})", "another service is there, or an old TLS",
            "offer TLS 1.2 or 1.3 there",
        )  # fmt: skip
        return False
    if shown.code:
        cause, remedy = _explain_failure(shown, host, ca_key)
        report.fail("tls-certificate", f"the certificate of {host} is not valid: {shown.message}", cause, remedy)
        return False
    report.ok("tls", f"{shown.version}, the certificate of {host} is valid")
    _examine_chain(report, host, shown, now)
    return True


def _shake(host: str, port: int, ca_path: Path | None) -> TlsPeer:
    context = ssl.create_default_context()
    if ca_path is not None:
        context.load_verify_locations(ca_path)
    try:
        return _connect(host, port, context)
    except ssl.SSLCertVerificationError as error:
        code, message = error.verify_code, error.verify_message
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    seen = _connect(host, port, blind)
    return TlsPeer(seen.version, seen.chain, code, message)


def _connect(host: str, port: int, context: ssl.SSLContext) -> TlsPeer:
    with (
        socket.create_connection((host, port), timeout=RETRY_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        return TlsPeer(tls.version() or "", _chain_of(tls))


def _chain_of(tls: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    # Python gives the chain as it was sent only from 3.13 on; before, the same call is there under the socket.
    inner: Any = getattr(tls, "_sslobj", tls)
    sent = getattr(inner, "get_unverified_chain", lambda: None)()
    ders = [item if isinstance(item, bytes) else item.public_bytes(2) for item in sent or ()]  # 2: DER
    leaf = tls.getpeercert(binary_form=True)
    return tuple(x509.load_der_x509_certificate(der) for der in ders or ([leaf] if leaf else []))


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and addresses in a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def _explain_failure(shown: TlsPeer, host: str, ca_key: str) -> tuple[str, str]:
    """Return cause and remedy of a certificate error."""
    leaf = shown.chain[0] if shown.chain else None
    private = f"use one of a public authority, or name yours in {ca_key}"
    match shown.code:
        case code if code == _EXPIRED and leaf is not None:
            return f"it, or one above it, has ended; its own end is {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it"
        case code if code == _NOT_YET:
            return "it does not begin yet", "compare the clocks"
        case code if code == _NAME and leaf is not None:
            return f"it is for {', '.join(names_of(leaf)) or 'no name'}, not for {host}", "get one for this name"
        case code if code == _SELF_SIGNED:
            return "it is self-signed", private
        case code if code == _SELF_IN_CHAIN:
            return "its authority is not known here", private
        case code if code in (_NO_ISSUER, _NO_LOCAL) and len(shown.chain) == 1:
            issuer = leaf.issuer.rfc4514_string() if leaf is not None else "unknown"
            cause = f"the host sends it alone, without the certificate of {issuer} between it and an authority"
            return cause, f"serve the full chain (fullchain.pem), or name a private authority in {ca_key}"
        case code if code in (_NO_ISSUER, _NO_LOCAL):
            return "the chain does not end at an authority that is known here", private
    return f"OpenSSL says {shown.code}", private


def _examine_chain(report: DoctorReport, host: str, shown: TlsPeer, now: datetime) -> None:
    if not shown.chain:
        return
    leaf = shown.chain[0]
    ends = leaf.not_valid_after_utc
    if ends - now.astimezone(UTC) < SOON:
        report.warn("tls-expiry", f"the certificate of {host} ends on {ends:%Y-%m-%d}", "it ends soon", "renew it")
    else:
        report.ok("tls-expiry", f"the certificate of {host} is valid until {ends:%Y-%m-%d}")
    links = zip(shown.chain, shown.chain[1:], strict=False)
    if any(lower.issuer != upper.subject for lower, upper in links):
        report.warn(
            "tls-chain", f"{host} sends its certificates in the wrong order", "some clients need the right order",
            "send the host's own first, then each one's issuer",
        )  # fmt: skip
