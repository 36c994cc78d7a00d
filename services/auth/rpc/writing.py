"""Writes the values of the use cases into messages."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.types.v1 import user_pb2 as user_types

from services.auth.model.api_key import ApiKey
from services.auth.model.device import shown
from services.auth.model.login import Login, LoginState
from services.auth.model.node import AdmittedNode, KnownUser
from services.auth.model.node_login import NodeLogin
from services.auth.model.preauth_key import PreAuthKey
from services.auth.model.ssh_check import CheckState, PendingSshCheck
from services.auth.usecases.evaluate_access import AccessEvaluation
from services.auth.usecases.outcome import (
    Denied,
    LoginOpened,
    NodeKeyExpired,
    NodeLoggedOut,
    Outcome,
    RetryAfter,
    SshAllowed,
    SshOutcome,
    SshPending,
)


def outcome(result: Outcome) -> pb.RegisterResponse:
    """Return the answer to a registration."""
    match result:
        case AdmittedNode(found, owner):
            return pb.RegisterResponse(admitted=pb.Admitted(node=found.record, user=user(owner)))
        case LoginOpened(auth_id, auth_url):
            return pb.RegisterResponse(login_needed=pb.LoginNeeded(auth_id=auth_id, auth_url=auth_url))
        case NodeKeyExpired():
            return pb.RegisterResponse(node_key_expired=True)
        case NodeLoggedOut():
            return pb.RegisterResponse(logged_out=True)
        case Denied(text):
            return pb.RegisterResponse(refused=text or "registration refused")
        case RetryAfter(seconds):
            return pb.RegisterResponse(retry_after=seconds)
    assert_never(result)


def ssh_verdict(result: SshOutcome) -> pb.SshVerdict:
    """Return the answer to a question about an SSH session."""
    match result:
        case SshAllowed():
            return pb.SshVerdict(accepted=True)
        case SshPending(auth_id, url):
            return pb.SshVerdict(waiting=pb.SshWaiting(auth_id=auth_id, url=url))
        case Denied(text):
            return pb.SshVerdict(refused=text or "this SSH session was refused")
    assert_never(result)


def ssh_check(found: PendingSshCheck) -> pb.SshCheck:
    """Return an SSH session for the page and the list."""
    return pb.SshCheck(
        auth_id=found.auth_id,
        source_id=found.source_id,
        source_name=found.source_name,
        user_name=found.user_name,
        user_id=found.user_id,
        destination_id=found.destination_id,
        destination_name=found.destination_name,
        local_user=shown(found.local_user),
        created_at=instant(found.created_at),
        expires_at=instant(found.expires_at),
        decided=found.decided,
        approved=found.state is CheckState.APPROVED,
    )


def user(known: KnownUser | None) -> user_types.User | None:
    """Return the registry's record of a user."""
    return known.record if known is not None else None


def access_evaluation(found: AccessEvaluation) -> pb.AccessEvaluation:
    """Return the evaluation of an identity by the entry rules."""
    return pb.AccessEvaluation(
        issuer=found.link.issuer,
        subject=found.link.subject,
        provider=found.provider,
        may_enter=not found.reason,
        reason=found.reason,
        text=found.text,
    )


def node_login(found: NodeLogin) -> pb.NodeLogin:
    """Return the login that admitted a node."""
    return pb.NodeLogin(
        node_id=found.node_id,
        issuer=found.issuer,
        subject=found.subject,
        started_at=instant(found.started_at),
        checked_at=instant(found.checked_at),
        ends_at=optional(found.ends_at),
    )


def login(found: Login) -> pb.PendingLogin:
    """Return a login for the page and the list."""
    return pb.PendingLogin(
        auth_id=found.auth_id,
        machine_key=found.machine_key.raw,
        node_key=found.node_key.raw,
        hostname=found.hostname,
        os=found.os,
        remote_address=found.remote_address,
        created_at=instant(found.created_at),
        expires_at=instant(found.expires_at),
        decided=found.decided,
        approved=found.state in (LoginState.APPROVED, LoginState.ADMITTED),
    )


def preauth_key(key: PreAuthKey, text: str = "") -> pb.PreAuthKey:
    """Return a pre-auth key, masked unless its text is given."""
    return pb.PreAuthKey(
        id=key.id,
        user_id=key.user_id,
        key=text or key.masked,
        reusable=key.reusable,
        ephemeral=key.ephemeral,
        used=key.used,
        expiration=optional(key.expiration),
        created_at=instant(key.created_at),
        tags=key.tags,
    )


def api_key(key: ApiKey) -> pb.ApiKey:
    """Return an API key without its secret."""
    return pb.ApiKey(
        id=key.id,
        prefix=key.prefix,
        expiration=optional(key.expiration),
        created_at=instant(key.created_at),
        last_seen=optional(key.last_seen),
    )


def instant(when: datetime) -> Timestamp:
    """Return an instant on the wire."""
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp


def optional(when: datetime | None) -> Timestamp | None:
    """Return an instant that may be absent."""
    return instant(when) if when is not None else None
