"""The administrator who caused a call, as gRPC metadata that only the gateway sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext
from smartscale.common.v1 import common_pb2

Request = TypeVar("Request")
Response = TypeVar("Response")

METADATA_KEY = "smartscale-caller-bin"
DIRECT = "command line"
"""Value of `Caller.wire` for a command line that opens the database itself, without a server."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated administrator of a call. Contains no secret; an empty field is unknown."""

    wire: str
    """The wire on which the call arrived, such as `grpc` or `rest/v1`."""
    address: str = ""
    """Network address of the client, or of the client that a trusted proxy names; empty on the unix socket."""
    key_prefix: str = ""
    """Public part of the API key that the call was made with."""
    person: str = ""
    """Name of the user that the credential belongs to; API keys of administrators belong to none."""
    oauth_client: str = ""
    """Id of the OAuth client whose access token the call was made with."""
    system_user: str = ""
    """Name or number of the operating system user on the other end of the unix socket."""

    @property
    def actor(self) -> str:
        """Return the caller in one line, for records of changes."""
        if self.key_prefix:
            return f"api key {self.key_prefix}"
        if self.oauth_client:
            return f"oauth client {self.oauth_client}"
        if self.wire == DIRECT:
            return DIRECT
        return f"unix socket ({self.system_user})" if self.system_user else "unix socket"

    @property
    def metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Return the metadata of calls made for this caller."""
        message = common_pb2.Caller(
            wire=self.wire,
            address=self.address,
            key_prefix=self.key_prefix,
            person=self.person,
            system_user=self.system_user,
            oauth_client=self.oauth_client,
        )
        return ((METADATA_KEY, message.SerializeToString()),)


def caller_of(context: ServicerContext[Request, Response]) -> Caller | None:
    """Return the administrator of a call, or None if no administrator caused it.

    Raises:
        ValueError: the metadata is there more than once, or is not a Caller.
    """
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    found = [value for name, value in metadata if name == METADATA_KEY]
    if not found:
        return None
    if len(found) != 1 or not isinstance(found[0], bytes):
        raise ValueError("a call carries one caller at most")
    try:
        message = common_pb2.Caller.FromString(found[0])
    except DecodeError:
        raise ValueError("the caller in the metadata cannot be read") from None
    return Caller(
        message.wire, message.address, message.key_prefix, message.person, message.oauth_client, message.system_user
    )
