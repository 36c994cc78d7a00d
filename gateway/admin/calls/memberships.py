"""Members of groups, by source: the policy's lists or a provider. Computed as the evaluator does; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.access.compiled import AliasKind, CompiledPolicy
from services.shared.access.directory import Directory
from services.shared.inventory import access_user

PREFIX = "group:"
NAMESPACE = "namespace:"


@dataclass(frozen=True, slots=True)
class _Reported:
    """A membership that a provider reported."""

    issuer: str
    since: Timestamp | None


class Memberships:
    """The groups of one tailnet at one moment."""

    def __init__(
        self, policy: CompiledPolicy, users: Iterable[user_types.User], links: Iterable[user_types.Link]
    ) -> None:
        self._users = {user.id: user for user in users}
        self._directory = Directory(policy, map(access_user, self._users.values()), [])
        self._listed = {group.name: group.members for group in policy.groups}
        self._named = {alias.name for alias in policy.aliases() if alias.kind is AliasKind.GROUP}
        self._reported: dict[tuple[int, str], list[_Reported]] = {}
        for link in links:
            for group in link.groups:
                self._reported.setdefault((link.user_id, group.name), []).append(_Reported(link.issuer, group.since))
            if link.namespace:
                reported = _Reported(link.issuer, link.last_login if link.HasField("last_login") else None)
                self._reported.setdefault((link.user_id, NAMESPACE + link.namespace), []).append(reported)

    def names(self) -> list[str]:
        """Return the names of all groups of the policy and of providers, without the prefix."""
        theirs = {PREFIX + group for user in self._users.values() for group in user.groups}
        return sorted(name.removeprefix(PREFIX) for name in {*self._listed, *self._named, *theirs})

    def group(self, name: str) -> pb.Group:
        """Return the summary of a group."""
        listed, provided = self._directory.group_members(PREFIX + name)
        return pb.Group(
            name=name,
            in_policy=PREFIX + name in self._listed,
            members=len(listed | provided),
            by_policy=len(listed),
            by_provider=len(provided),
        )

    def all(self) -> list[pb.Group]:
        """Return the summaries of all groups, ordered by name."""
        return [self.group(name) for name in self.names()]

    def whole(self, name: str) -> pb.GetGroupResponse:
        """Return a group with its members."""
        return pb.GetGroupResponse(group=self.group(name), members=self.members(name))

    def members(self, name: str) -> list[pb.GroupMember]:
        """Return every reported membership of a group, including those that have no effect."""
        found = []
        for user_id, user in sorted(self._users.items()):
            for membership in self._memberships(user_id, name):
                found.append(pb.GroupMember(user_id=user_id, user=user.name, email=user.email, membership=membership))
        return found

    def of(self, user_id: int) -> list[pb.UserGroup]:
        """Return the groups of a user."""
        named = {PREFIX + group for group in self._users[user_id].groups} if user_id in self._users else set()
        named |= {name for name, tokens in self._listed.items() if self._is_listed(user_id, tokens)}
        return [one for name in sorted(named) for one in self._memberships(user_id, name.removeprefix(PREFIX))]

    def _is_listed(self, user_id: int, tokens: Iterable[str]) -> bool:
        return any(user_id in self._directory.users_named(token) for token in tokens)

    def _memberships(self, user_id: int, name: str) -> list[pb.UserGroup]:
        listed, provided = self._directory.group_members(PREFIX + name)
        tokens = self._listed.get(PREFIX + name, ())
        found = []
        if self._is_listed(user_id, tokens):
            found.append(pb.UserGroup(name=name, source="policy", counts=user_id in listed))
        bare = name.partition("@")[0] if user_id in provided else name
        for reported in self._reported.get((user_id, name), self._reported.get((user_id, bare), [])):
            found.append(
                pb.UserGroup(
                    name=name,
                    source="provider",
                    issuer=reported.issuer,
                    since=reported.since,
                    counts=user_id in provided,
                )
            )
        return found


def last_login(links: Iterable[user_types.Link]) -> Timestamp | None:
    """Return the time of the latest sign-in of these identities."""
    times = [link.last_login for link in links if link.HasField("last_login")]
    return max(times, key=_instant, default=None)


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime()


def summary(node: node_types.Node, login: auth_pb2.NodeLogin | None) -> pb.UserNode:
    """Return the summary of a node of a user."""
    found = pb.UserNode(
        id=node.id,
        given_name=node.given_name,
        addresses=[address for address in (node.ipv4, node.ipv6) if address],
        online=node.online,
        expired=node.expired,
        login=login,
    )
    if node.HasField("last_seen"):
        found.last_seen.CopyFrom(node.last_seen)
    if node.HasField("expiry"):
        found.expiry.CopyFrom(node.expiry)
    return found
