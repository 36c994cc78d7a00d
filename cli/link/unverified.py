"""`cli.insecure`: connects by TLS to a server whose certificate cannot be verified, or without TLS.

gRPC cannot skip the verification of a certificate. So the server's certificate is fetched first, and is then the only
trusted one, under the name that it carries.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any


def channel(address: str, timeout: float, options: tuple[tuple[str, Any], ...] = ()) -> Any:
    """Return a channel to the address; a server that does not answer is noticed by the first call."""
    import grpc

    shown = _certificate(address, timeout)
    if shown is None:
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(shown).encode())
    name = _name(shown)
    override = (("grpc.ssl_target_name_override", name),) if name else ()
    return grpc.secure_channel(address, credentials, (*options, *override))


def _certificate(address: str, timeout: float) -> bytes | None:
    """Return a server's certificate in DER; None when it does not speak TLS or does not answer."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")) as wrapped,
        ):
            return wrapped.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None


def _name(certificate: bytes) -> str:
    """Return a name that the certificate is valid for; empty when it has none."""
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(certificate)
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return next((name.replace("*", "any") for name in found), "")
