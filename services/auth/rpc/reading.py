"""Reads messages into checked values: lengths, times and numbers that a client can choose."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.auth.v1 import auth_pb2 as pb

from services.auth.model.device import read_device
from services.auth.model.errors import InvalidInputError
from services.auth.model.login import AuthId, read_auth_id
from services.auth.model.registration import RegistrationRequest
from services.auth.model.secret import MAX_TEXT
from services.auth.model.ssh_check import LONGEST, MAX_LOCAL_USER, SshQuestion
from services.shared.ids import NodeId
from services.shared.keys import MachineKey, NodeKey

MAX_ADDRESS = 64
_MAX_ID = (1 << 63) - 1
_YEAR_ONE = -62135596800 + 366 * 86400
"""Go encodes an unset time as 1 January of the year 1, in any zone; it means that no expiry is requested."""


def read_registration(request: pb.RegisterRequest, machine_key: MachineKey) -> RegistrationRequest:
    """Check a registration.

    Raises:
        InvalidInputError: a key, instant or Hostinfo that no client sends.
    """
    node_key = _node_key(request.node_key, "node key")
    if node_key.is_zero:
        raise InvalidInputError("the node key is zero")
    old = _node_key(request.old_node_key, "old node key") if request.old_node_key else NodeKey.zero()
    return RegistrationRequest(
        machine_key=machine_key,
        node_key=node_key,
        old_node_key=NodeKey.zero() if old == node_key else old,
        version=max(0, request.version),
        unverified_auth_key=request.auth_key[: MAX_TEXT + 1],
        expiry=read_requested_expiry(request.expiry) if request.HasField("expiry") else None,
        hostinfo=request.hostinfo,
        device=read_device(request.hostinfo),
        ephemeral=request.ephemeral,
        remote_address=request.remote_address[:MAX_ADDRESS],
    )


def placeholder_registration(hostinfo: bytes) -> RegistrationRequest:
    """Return a registration for a device that does not exist: random keys without a private half.

    Raises:
        InvalidInputError: a Hostinfo that no client sends.
    """
    device = read_device(hostinfo)
    if device.tag_problem:
        raise InvalidInputError(device.tag_problem)
    return RegistrationRequest(
        machine_key=MachineKey(secrets.token_bytes(32)),
        node_key=NodeKey(secrets.token_bytes(32)),
        old_node_key=NodeKey.zero(),
        version=0,
        unverified_auth_key="",
        expiry=None,
        hostinfo=hostinfo,
        device=device,
        ephemeral=False,
        remote_address="",
    )


def read_ssh_question(question: pb.SshQuestion) -> SshQuestion:
    """Check a question about an SSH session.

    Raises:
        InvalidInputError: an id or a user that no node has.
    """
    return SshQuestion(
        source_id=NodeId(read_id(question.source_id)),
        destination_id=NodeId(read_id(question.destination_id)),
        local_user=read_words("a local user", question.local_user, MAX_LOCAL_USER),
        period=min(timedelta(seconds=question.period_seconds), LONGEST),
        everywhere=question.everywhere,
    )


def read_new_auth_id(text: str) -> AuthId:
    """Read an auth id that a caller chose.

    Raises:
        InvalidInputError: it has another form.
    """
    auth_id = read_auth_id(text)
    if auth_id is None:
        raise InvalidInputError("an auth id is 'hskey-authreq-' and 24 letters, digits, - or _")
    return auth_id


def read_requested_expiry(stamp: Timestamp) -> datetime | None:
    """Return the expiry that a client requests; None for Go's zero time."""
    if stamp.seconds < _YEAR_ONE:
        return None
    return read_instant(stamp)


def read_instant(stamp: Timestamp) -> datetime:
    """Read an instant.

    Raises:
        InvalidInputError: not between the years 1 and 9999.
    """
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError("an instant is out of range") from None


def read_words(what: str, text: str, limit: int) -> str:
    """Read one line of text of an administrator.

    Raises:
        InvalidInputError: too long, or with control characters.
    """
    if len(text) > limit or not text.isprintable():
        raise InvalidInputError(f"{what} is one line of at most {limit} characters")
    return text


def read_optional(message: Any, name: str) -> datetime | None:
    """Return an instant that may be absent."""
    return read_instant(getattr(message, name)) if message.HasField(name) else None


def read_id(number: int) -> int:
    """Read an id that fits the database.

    Raises:
        InvalidInputError: larger than any id.
    """
    if number > _MAX_ID:
        raise InvalidInputError("an id is out of range")
    return number


def _node_key(raw: bytes, what: str) -> NodeKey:
    if len(raw) != 32:
        raise InvalidInputError(f"the {what} has not 32 bytes")
    return NodeKey(raw)
