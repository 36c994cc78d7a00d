"""SSH sessions that the policy allows only with an approval: checked, held, approved or rejected.

A destination asks here before it lets a session in. The policy's part of the question (is there such a rule, how long
does a word hold) comes with it; who the nodes and their owner are is asked of the registry each time, so that a node
that is gone or expired, another owner, or a suspension ends what a word was given for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from services.auth.model.errors import ConflictError, NotFoundError, NotPermittedError, RefusedError, SuspendedError
from services.auth.model.login import AuthId, new_auth_id
from services.auth.model.node import KnownNode, KnownUser
from services.auth.model.rights import SUSPENDED
from services.auth.model.ssh_check import CheckState, PendingSshCheck, SshApprovalQuery, SshQuestion
from services.auth.store.notifications import LoginNotifications
from services.auth.store.registry import SshNodes
from services.auth.store.ssh_checks import SshCheckLimits, SshCheckStore
from services.auth.usecases.outcome import Denied, SshAllowed, SshOutcome, SshPending
from services.shared.ids import UserId
from services.shared.keys import MachineKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_WAITERS_PER_CHECK = 64
"""Sessions that may wait for the same approval: an editor opens a few, a tool for many machines one for each."""

NO_SESSION = "no such SSH session can be checked"
"""For every session that is not the asking machine's, whether it exists or not."""
NO_OWNER = "the machine that opens this session is tagged and has no owner to approve it; an accept rule allows it"
ENDED = "the key of the machine that opens this session has expired; log in there again"
OVER = "this SSH session was not approved in time, or too many others waited; open it again"
REFUSED = "this SSH session was refused"
FULL = "too many SSH sessions wait for an approval; try again in a minute"
NOT_OWNER = "the machine that opens this session belongs to somebody else, and only its owner can approve it"
CHANGED = "the machine that opens this session has logged in again or changed its owner; open the session again"


@dataclass(frozen=True, slots=True)
class CheckRules:
    """SSH checks, by the configuration."""

    server_url: str
    lifetime: timedelta
    room: SshCheckLimits


class SshChecks:
    """SSH sessions of one tailnet."""

    def __init__(
        self,
        store: SshCheckStore,
        nodes: SshNodes,
        news: LoginNotifications,
        clock: Clock,
        rules: CheckRules,
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._news = news
        self._clock = clock
        self._rules = rules

    async def ask(self, machine_key: MachineKey, question: SshQuestion) -> SshOutcome:
        """Decide on a session to a node of this machine, or open a check.

        Raises:
            NotFoundError: one of the nodes is unknown, or the destination is another machine's.
            UnavailableError: the registry did not answer.
        """
        try:
            parties = await self._parties(machine_key, question)
        except RefusedError as error:
            return Denied(str(error))
        if await self._is_approved(question, parties.source):
            return self._accept(question)
        return await self._open(question, parties)

    async def wait(self, machine_key: MachineKey, question: SshQuestion, auth_id: AuthId | None) -> SshOutcome:
        """Answer when a check is approved or rejected, or expires. An unknown or foreign check leads to a new one.

        Raises:
            NotFoundError: as `ask`.
            TooManyError: too many requests wait.
            UnavailableError: the registry did not answer.
        """
        if auth_id is None:
            return await self.ask(machine_key, question)
        waited = False
        with self._news.watch(auth_id, MAX_WAITERS_PER_CHECK) as watch:
            while True:
                check = await self._store.get(auth_id)
                now = self._clock.now()
                if check is None or not check.is_for(question):
                    return Denied(OVER) if waited else await self.ask(machine_key, question)
                over = not check.alive(now)
                if over or not waited or check.decided or await self._is_approved(question, check):
                    outcome = await self._outcome_of(machine_key, question, check, over=over)
                    if outcome is not None:
                        return outcome
                await watch.wait(max(0.0, (check.expires_at - now).total_seconds()))
                waited = True

    async def _outcome_of(
        self, machine_key: MachineKey, question: SshQuestion, check: PendingSshCheck, *, over: bool
    ) -> SshOutcome | None:
        """Return the result of a wait, or None while it goes on."""
        try:
            parties = await self._parties(machine_key, question)
        except RefusedError as error:
            return Denied(str(error))
        if not _same(check, parties.source):
            return await self.ask(machine_key, question)
        if check.state is CheckState.REJECTED:
            return Denied(check.reason)
        if (check.decided and not over) or await self._is_approved(question, parties.source):
            return self._accept(question)
        return Denied(OVER) if over else None

    async def get(self, auth_id: AuthId | None) -> PendingSshCheck:
        """Return a check.

        Raises:
            NotFoundError: unknown or expired.
        """
        check = await self._store.get(auth_id) if auth_id is not None else None
        if check is None or not check.alive(self._clock.now()):
            raise NotFoundError("SSH session not found or expired")
        return check

    async def list(self) -> tuple[PendingSshCheck, ...]:
        """List pending checks, oldest first."""
        return await self._store.list(self._clock.now())

    async def owned(self, auth_id: AuthId, user_id: UserId) -> PendingSshCheck:
        """Return a check that this user may approve or reject.

        Raises:
            NotFoundError: unknown or expired.
            NotPermittedError: the source belongs to another user.
            RefusedError: it can no longer be approved.
        """
        check = await self.get(auth_id)
        if user_id != check.user_id:
            raise NotPermittedError(NOT_OWNER)
        found = await self._nodes.node(check.source_id)
        if found is None:
            raise RefusedError(CHANGED)
        source, owner = self._fit(*found)
        if not _same(check, source):
            raise NotPermittedError(NOT_OWNER) if owner.id != user_id else RefusedError(CHANGED)
        return check

    async def approve(self, auth_id: AuthId | None, by: str, user_id: UserId | None = None) -> PendingSshCheck:
        """Approve a session, and others that the policy allows by the same approval. Repeating it is harmless.

        `user_id` is the user who approves; None is an administrator, who may approve for the owner.

        Raises:
            NotFoundError: unknown or expired.
            ConflictError: it was rejected before.
            NotPermittedError: the source belongs to another user.
            RefusedError: the source is gone, expired or has another owner, or its owner is suspended.
        """
        while True:
            check = await self.get(auth_id)
            if check.state is CheckState.REJECTED:
                raise ConflictError("SSH session was refused already")
            await self.owned(check.auth_id, check.user_id if user_id is None else user_id)
            if check.decided:
                return check
            others = await self._store.approve(check, by, self._clock.now())
            if others is None:
                continue  # another caller was faster: read it again
            log.info("ssh session approved", **_log_fields(check), approved_by=by)
            for one in (check.auth_id, *others):
                await self._news.announce(one)
            return check.approved(by)

    async def reject(self, auth_id: AuthId | None, by: str, reason: str = REFUSED) -> None:
        """Reject a session; the client shows the reason to the person. Repeating it is harmless.

        Raises:
            NotFoundError: unknown or expired.
            ConflictError: approved before.
        """
        while True:
            check = await self.get(auth_id)
            if check.state is CheckState.REJECTED:
                return
            if check.decided:
                raise ConflictError("SSH session was approved already")
            if await self._store.reject(check, by, reason):
                log.info("ssh session rejected", **_log_fields(check), rejected_by=by)
                await self._news.announce(check.auth_id)
                return

    async def _open(self, question: SshQuestion, parties: _Parties) -> SshOutcome:
        now = self._clock.now()
        check = PendingSshCheck(
            auth_id=new_auth_id(secrets.token_bytes(12)),
            source_id=parties.source.id,
            destination_id=parties.destination.id,
            source_key=parties.source.node_key,
            user_id=parties.owner.id,
            source_name=parties.source.name,
            user_name=parties.owner.email or parties.owner.name,
            destination_name=parties.destination.name,
            local_user=question.local_user,
            everywhere=question.everywhere,
            each_time=not question.period,
            created_at=now,
            expires_at=now + self._rules.lifetime,
        )
        opened = await self._store.open(check, self._rules.room)
        if opened is None:
            log.warning("too many pending ssh checks", waiting=self._rules.room.total)
            return Denied(FULL)
        for displaced in opened.displaced:
            await self._news.announce(displaced)
        if opened.check is check:
            log.info("ssh check opened", **_log_fields(check))
        auth_id = opened.check.auth_id
        return SshPending(auth_id, f"{self._rules.server_url.rstrip('/')}/auth/{auth_id}")

    def _accept(self, question: SshQuestion) -> SshOutcome:
        log.info("ssh session accepted", source_id=question.source_id, destination_id=question.destination_id)
        return SshAllowed()

    async def _parties(self, machine_key: MachineKey, question: SshQuestion) -> _Parties:
        to = await self._nodes.node(question.destination_id)
        if to is None or to[0].machine_key != machine_key or to[0].is_expired(self._clock.now()):
            raise NotFoundError(NO_SESSION)
        found = await self._nodes.node(question.source_id)
        if found is None:
            raise NotFoundError(NO_SESSION)
        return _Parties(*self._fit(*found), to[0])

    def _fit(self, source: KnownNode, owner: KnownUser | None) -> tuple[KnownNode, KnownUser]:
        """Return a source and the owner who can approve its sessions, or raise why there is none."""
        if source.tags or owner is None:
            raise RefusedError(NO_OWNER)
        if owner.suspended:
            raise SuspendedError(SUSPENDED)
        if source.is_expired(self._clock.now()):
            raise RefusedError(ENDED)
        return source, owner

    async def _is_approved(self, question: SshQuestion, source: KnownNode | PendingSshCheck) -> bool:
        """Return whether a valid approval by the owner of this node key covers the session."""
        if not question.period:
            return False
        source_key = source.source_key if isinstance(source, PendingSshCheck) else source.node_key
        since = self._clock.now() - question.period
        word = SshApprovalQuery(
            question.source_id, question.destination_id, source_key, source.user_id, question.everywhere, since
        )
        return await self._store.given(word)


@dataclass(frozen=True, slots=True)
class _Parties:
    """The two nodes of a session, and the owner who can approve it."""

    source: KnownNode
    owner: KnownUser
    destination: KnownNode


def _same(check: PendingSshCheck, source: KnownNode) -> bool:
    return source.node_key == check.source_key and source.user_id == check.user_id


def _log_fields(check: PendingSshCheck) -> dict[str, object]:
    return {
        "auth_id": check.auth_id,
        "source_id": check.source_id,
        "destination_id": check.destination_id,
        "local_user": check.local_user,
        "user_id": check.user_id,
    }
