"""`cli.insecure`: TLS to a server whose certificate nobody vouches for, and no TLS to one that has none.

gRPC cannot skip the check of a certificate. So the certificate that the server shows is fetched first and then is the
only one trusted, under the name it carries.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any


def channel(address: str, timeout: float, options: tuple[tuple[str, Any], ...] = ()) -> Any:
    """A channel to the address; a server that is away is found out by the first call."""
    import grpc

    shown = _certificate(address, timeout)
    if shown is None:
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(shown).encode())
    name = _name(shown)
    override = (("grpc.ssl_target_name_override", name),) if name else ()
    return grpc.secure_channel(address, credentials, (*options, *override))


def _certificate(address: str, timeout: float) -> bytes | None:
    """The certificate that a server shows; None when it speaks no TLS or does not answer."""
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
    """A name that the certificate is valid for."""
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(certificate)
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return next((name.replace("*", "any") for name in found), "")
