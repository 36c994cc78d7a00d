"""Turns a failed gRPC call into a CommandError with reason and remedy. Makes no call."""

from __future__ import annotations

from typing import Any

from cli.frame.errors import CommandError


class UnknownCallError(CommandError):
    """The server does not have the call: it is older than this program, or Headscale."""


class NoSuchThingError(CommandError):
    """The user, node, key or other object of a call does not exist."""


_UNREACHED = (
    ("permission denied", "you may not open {where}", "run it as root, or as a member of the socket's group"),
    (
        "certificate_verify_failed", "the certificate of {where} cannot be verified",
        "if it is your own: HEADSCALE_CLI_INSECURE=true",
    ),
    (
        "hostname mismatch", "the certificate of {where} is for another name",
        "use the name that it is for, or HEADSCALE_CLI_INSECURE=true",
    ),
    (
        "tls handshake failed", "{where} does not speak TLS",
        "is it the server's grpc_listen_addr? with grpc_allow_insecure there, HEADSCALE_CLI_INSECURE=true here",
    ),
    ("lookup", "the host name in {where} is unknown", "check HEADSCALE_CLI_ADDRESS or cli.address: HOST:PORT"),
)  # fmt: skip
"""Words in gRPC's text of a failed connection, the reason, and the remedy."""


def command_error(error: Any, where: str, timeout: float, *, configured: bool = True) -> CommandError:
    """Return the failure of a call as an error for people; `configured` is False if no configuration was found."""
    import grpc

    code, text, status = error.code(), error.details() or "", grpc.StatusCode
    if code is status.UNAVAILABLE:
        if text.startswith(("the database", "the disk", "PostgreSQL")):
            return CommandError(text)
        lowered = text.lower()
        for words, what, remedy in _UNREACHED:
            if words in lowered:
                return CommandError(what.format(where=where), remedy)
        if not configured:
            return CommandError(
                f"no server answers at {where}, and no configuration was found that names another place",
                "name the server's configuration: -c FILE (`make run` made state/config.yaml)",
            )
        return CommandError(f"no server answers at {where}", "is it running? start it with: headscale serve")
    if code is status.DEADLINE_EXCEEDED:
        if text.startswith("the server"):  # its own limit passed, not ours
            return CommandError(text)
        return CommandError(f"{where} did not answer within {timeout:g} s", "set cli.timeout to wait longer")
    if code is status.UNIMPLEMENTED:
        return UnknownCallError(
            f"the server at {where} does not know this command", "it is older than this program, or Headscale"
        )
    if code is status.UNAUTHENTICATED:
        return CommandError(f"{where}: {text}", "make a new key with: headscale apikeys create")
    kind = NoSuchThingError if code is status.NOT_FOUND else CommandError
    return kind(text or code.name.lower().replace("_", " "))
