"""The use cases of policies: check, set, read, follow, start, and reload of the file. Knows no table or message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.policy import explain
from services.policy.explain import Result
from services.policy.model.checks.examining import examine
from services.policy.model.checks.previewing import RuleMatch
from services.policy.model.checks.topology import Topology
from services.policy.model.compiler import Document, ProviderGroups, compile_policy
from services.policy.model.errors import FileModeError, NotFoundError, TailnetUnknownError
from services.policy.model.text.problems import PolicyError
from services.policy.model.version import CheckedPolicy, InForce, LogEntry, Records, Version, etag_of
from services.policy.store import Store
from services.shared.access.compiled import ALLOW_ALL, DENY_ALL, CompiledPolicy
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_VERSIONS = 1000
MAX_NOTE = 1000
"""Maximum characters of an author or a reason."""


class Publisher(Protocol):
    """Announces committed changes."""

    async def publish(self, record: LogEntry) -> None:
        """Send one record."""
        ...


class SubjectSource(Protocol):
    """The users and nodes that a policy is checked against."""

    async def read(self) -> Topology | None:
        """Return every user and node; None when the source does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of policies in the configuration."""

    file_mode: bool = False
    domains: Sequence[str] = ()
    """Login domains of the tailnet; empty when not known."""
    prefixes: Sequence[str] = ()
    provider: ProviderGroups | None = None
    """None: no provider's groups count."""


class Policies:
    """The use cases of one tailnet."""

    def __init__(
        self, store: Store, publisher: Publisher, clock: Clock, rules: Rules, tailnet: SubjectSource | None = None
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._rules = rules
        self._tailnet = tailnet
        self._writing = asyncio.Lock()
        self.waiting = False
        """Whether the latest text was refused, so that a change of users may make it acceptable."""

    def follow(self, rules: Rules) -> bool:
        """Use other settings from the next policy on. Returns whether they differ."""
        before, self._rules = self._rules, rules
        return before != rules

    # Reading

    async def get(self, number: int = 0) -> Version:
        """Return a version; 0 is the one in force. Raises: `NotFoundError`."""
        version = await (self._store.version(number) if number else self._store.current())
        if version is None:
            raise NotFoundError(f"there is no policy version {number}" if number else "no policy is set")
        return version

    async def versions(self, before: int = 0, limit: int = 0) -> Sequence[Version]:
        """Return versions, newest first, without text."""
        return await self._store.versions(before, min(limit or 100, MAX_VERSIONS))

    async def in_force(self) -> InForce:
        """Return the compiled form in force."""
        found = await self._store.in_force()
        return found if found is not None else InForce(0, ALLOW_ALL.to_bytes(), 0)

    async def changes(self, after: int) -> Records:
        """Return the records after a position."""
        return await self._store.records(after)

    # Writing

    async def check(self, text: str) -> list[str]:
        """Do all that `set` does except storing the policy; return the warnings.

        Raises: `PolicyError` when it is refused; `TailnetUnknownError`.
        """
        document = await asyncio.to_thread(self._examine, text, "", await self._live())
        return [str(warning) for warning in document.warnings]

    async def set(
        self, text: str, *, author: str = "", reason: str = "", if_match: str = ""
    ) -> tuple[Version, list[str]]:
        """Check a policy against the live tailnet and put it in force; return its version and the warnings.

        Raises: `FileModeError`; `PolicyError` when it is refused; `OvertakenError` when `if_match` does not hold;
        `TailnetUnknownError`.
        """
        if self._rules.file_mode:
            raise FileModeError("the policy is read from a file (policy.mode: file): change the file instead")
        document = await asyncio.to_thread(self._examine, text, "", await self._live())
        draft = await self._draft(text, document, author[:MAX_NOTE], reason[:MAX_NOTE])
        version = await self._accept(draft, if_match)
        self.waiting = False
        return version, [str(warning) for warning in document.warnings]

    async def explain(self, source: str, destination: str, *, protocol: str = "", text: str = "") -> Result:
        """Return which rules of a policy, or of the one in force, decide in the live tailnet; as `explain.explain_in`.

        Raises: `TailnetUnknownError`.
        """
        tailnet, asked = await self._live(), text or await self._text_in_force()
        return await asyncio.to_thread(explain.explain_in, tailnet, asked, source, destination, protocol=protocol)

    async def preview(self, text: str) -> tuple[Result, list[str]]:
        """Return what a policy would change in the live tailnet, as `explain.preview_in`, and its warnings.

        Raises: `PolicyError` when it is refused; `TailnetUnknownError`.
        """
        tailnet, current = await self._live(), await self._text_in_force()
        document = await asyncio.to_thread(self._examine, text, "", tailnet)
        found = await asyncio.to_thread(explain.preview_in, tailnet, current, text)
        return found, [str(warning) for warning in document.warnings]

    async def preview_rules(self, text: str, *, user: str = "", destination: str = "") -> list[RuleMatch]:
        """Return the rules of a policy that concern a user or a destination, as `explain.preview_rules_in`.

        Raises: `PolicyError` when it is refused; `RulePreviewError`; `TailnetUnknownError`.
        """
        tailnet = await self._live()
        await asyncio.to_thread(self._examine, text, "", tailnet)
        return await asyncio.to_thread(explain.preview_rules_in, tailnet, text, user=user, destination=destination)

    async def _text_in_force(self) -> str:
        current = await self._store.current()
        return current.text if current is not None else ""

    async def _read(self) -> Topology | None:
        """Return the live tailnet under the rules of the configuration; None when the registry does not answer."""
        found = Topology() if self._tailnet is None else await self._tailnet.read()
        if found is None:
            return None
        return replace(
            found,
            domains=tuple(self._rules.domains),
            provider=self._rules.provider,
            prefixes=tuple(self._rules.prefixes),
        )

    async def _live(self) -> Topology:
        found = await self._read()
        if found is None:
            raise TailnetUnknownError("the registry does not answer, so the policy cannot be checked; try again")
        return found

    def _examine(self, text: str, name: str, tailnet: Topology | None) -> Document:
        users = tailnet.users if tailnet else ()
        document = compile_policy(
            text,
            name=name,
            domains=self._rules.domains,
            user_names=[user.name for user in users],
            provider=self._rules.provider,
        )
        if tailnet is None:
            return document
        return examine(document, users, tailnet.nodes.values(), tailnet.prefixes)

    async def _draft(self, text: str, document: Document, author: str, reason: str) -> CheckedPolicy:
        etag = await asyncio.to_thread(etag_of, text)
        return CheckedPolicy(text, document.policy.to_bytes(), author, reason, self._clock.now(), etag)

    async def _accept(self, draft: CheckedPolicy, if_match: str = "") -> Version:
        async with self._writing:
            version, record = await self._store.accept(draft, if_match)
            await self._publisher.publish(record)
        log.info("policy accepted", version=version.number, author=version.author, etag=version.etag)
        return version

    # Start and file mode

    async def take_file(self, text: str, name: str, *, alone: bool = False) -> bool:
        """Put the text of the policy file in force, unless it is already. A text that is invalid, or fails its tests,
        leaves what is in force.

        `alone` is for the start, when nobody knows the nodes and users yet: tests are not run. False says that the
        text should be taken again once they are known.
        """
        tailnet = None if alone or self._tailnet is None else await self._read()
        try:
            document = await asyncio.to_thread(self._examine, text, name, tailnet)
        except PolicyError as error:
            self.waiting = True
            await self.keep_last_good(f"{name}: {error}")
            return tailnet is not None
        self.waiting = False
        tested = tailnet is not None or not (document.tests or document.ssh_tests)
        if not tested and not alone:
            await self.keep_last_good(f"{name}: its tests cannot be run: the registry does not answer")
            return False
        for warning in document.warnings:
            log.warning("policy warning", file=name, warning=str(warning))
        draft = await self._draft(text, document, "file", name)
        current = await self._store.current()
        if current is None or current.text != text:
            await self._accept(draft)
        else:
            await self._refresh(draft.compiled, current.number)
        return tested

    async def keep_last_good(self, reason: str) -> None:
        """Report an unusable policy: the last good one stays in force; without one, everything is denied."""
        reason = " ".join(reason.split("\n"))  # one line in the log, where a line end would be an escape
        current = await self._store.in_force()
        if current is not None and _is_readable(current.compiled):
            log.error("policy not valid, the last valid one stays in force", version=current.number, reason=reason)
            return
        log.error("policy not valid and no earlier one is, nothing is allowed", reason=reason)
        await self._refresh(DENY_ALL.to_bytes(), 0)

    async def use_no_file(self) -> None:
        """Allow everything, as file mode without a path requires."""
        if await self._store.newest() is not None:
            log.warning("policies are stored but policy.mode is file without a path, everything is allowed")
        current = await self._store.in_force()
        if current is not None:
            await self._refresh(ALLOW_ALL.to_bytes(), 0)

    async def use_stored(self, *, alone: bool = False) -> bool:
        """Recompile the newest stored version and put it in force, in database mode.

        `alone` and the answer are as in `take_file`: old documents name users whom only the registry knows.
        """
        tailnet = None if alone or self._tailnet is None else await self._read()
        newest = await self._store.newest()
        if newest is None:
            if await self._store.in_force() is not None:
                await self._refresh(ALLOW_ALL.to_bytes(), 0)
            return True
        names = [user.name for user in tailnet.users] if tailnet is not None else []
        try:
            document = await asyncio.to_thread(
                compile_policy,
                newest.text,
                domains=self._rules.domains,
                user_names=names,
                provider=self._rules.provider,
            )
        except PolicyError as error:
            self.waiting = True
            await self.keep_last_good(f"version {newest.number}: {error}")
            return tailnet is not None
        self.waiting = False
        await self._refresh(document.policy.to_bytes(), newest.number)
        return True

    async def _refresh(self, compiled: bytes, number: int) -> None:
        """Put a compiled form in force unless it is already."""
        async with self._writing:
            current = await self._store.in_force()
            if current is not None and current.compiled == compiled and current.number == number:
                return
            await self._publisher.publish(await self._store.put_in_force(compiled, number, self._clock.now()))


def _is_readable(compiled: bytes) -> bool:
    try:
        CompiledPolicy.from_bytes(compiled)
    except ValueError:
        return False
    return True
