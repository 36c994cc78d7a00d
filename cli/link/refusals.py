"""What a failed call means for who made it, and what to do about it."""

from __future__ import annotations

from typing import Any

from cli.frame.errors import CommandError


class UnknownCallError(CommandError):
    """The server does not have the call: it is older than this program, or Headscale."""


class NoSuchThingError(CommandError):
    """What the call names does not exist."""


_UNREACHED = (
    ("permission denied", "you may not open {where}", "run it as root, or as a member of the socket's group"),
    (
        "certificate_verify_failed", "nobody vouches for the certificate of {where}",
        "for one that you know yourself: HEADSCALE_CLI_INSECURE=true",
    ),
    (
        "hostname mismatch", "the certificate of {where} is for another name",
        "use the name that it is for, or HEADSCALE_CLI_INSECURE=true",
    ),
    (
        "tls handshake failed", "{where} does not speak TLS",
        "is it the server's grpc_listen_addr? with grpc_allow_insecure there, HEADSCALE_CLI_INSECURE=true here",
    ),
    ("lookup", "there is no host of the name in {where}", "check HEADSCALE_CLI_ADDRESS or cli.address: HOST:PORT"),
)  # fmt: skip
"""What gRPC says in its own way when it cannot connect."""


def explained(error: Any, where: str, timeout: float) -> CommandError:
    """The failure of a call in words for people."""
    import grpc

    code, text, status = error.code(), error.details() or "", grpc.StatusCode
    if code is status.UNAVAILABLE:
        if text.startswith(("the database", "the disk", "PostgreSQL")):
            return CommandError(text)
        said = text.lower()
        for words, what, remedy in _UNREACHED:
            if words in said:
                return CommandError(what.format(where=where), remedy)
        return CommandError(f"no server answers at {where}", "is it running? start it with: headscale serve")
    if code is status.DEADLINE_EXCEEDED:
        return CommandError(f"{where} did not answer within {timeout:g} s", "set cli.timeout to wait longer")
    if code is status.UNIMPLEMENTED:
        return UnknownCallError(
            f"the server at {where} does not know this command", "it is older than this program, or Headscale"
        )
    if code is status.UNAUTHENTICATED:
        return CommandError(f"{where}: {text}", "make a new key with: headscale apikeys create")
    kind = NoSuchThingError if code is status.NOT_FOUND else CommandError
    return kind(text or code.name.lower().replace("_", " "))
