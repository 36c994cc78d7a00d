"""Which tags a credential may give to devices and keys: its own, and those that they own by the policy in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
from smartscale.policy.v1 import policy_pb2

from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services
from services.shared.access.compiled import AliasKind, CompiledPolicy


async def check_tags(services: Services, call: CallContext, tags: Iterable[str]) -> None:
    """Check that the credential of a call may give these tags.

    Raises:
        Refused: there is none although the credential must give one, or one is not permitted.
    """
    if call.tags is None:
        return
    wanted = tuple(tags)
    if not wanted:
        raise Refused(
            grpc.StatusCode.INVALID_ARGUMENT, "tags: this credential belongs to no user, so at least one tag is needed"
        )
    foreign = [tag for tag in wanted if tag not in call.tags]
    if not foreign:
        return
    compiled = await call.ask(services.policy.GetCompiled, policy_pb2.GetCompiledRequest())
    owners = tag_owners(CompiledPolicy.from_bytes(compiled.compiled))
    refused = [tag for tag in foreign if not _owned(tag, frozenset(call.tags), owners)]
    if refused:
        text = f"this credential may not give {', '.join(refused)}: it has {', '.join(call.tags) or 'no tags'}"
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, f"{text}, and tagOwners names none of them as an owner")


def tag_owners(policy: CompiledPolicy) -> Mapping[str, frozenset[str]]:
    """Return the tags that own each tag of a policy."""
    return {
        entry.subject: frozenset(alias.name for alias in entry.approvers if alias.kind is AliasKind.TAG)
        for entry in policy.tag_owners
    }


def _owned(tag: str, held: frozenset[str], owners: Mapping[str, frozenset[str]]) -> bool:
    """Return whether one of the held tags owns a tag, directly or through others."""
    seen, waiting = {tag}, [tag]
    while waiting:
        found = owners.get(waiting.pop(), frozenset())
        if not held.isdisjoint(found):
            return True
        waiting += found - seen
        seen |= found
    return False
