"""Folds facts into the next snapshot. Copies a table once per batch at most; rebuilds `Access` if its input changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

import msgspec

from services.map_streamer.snapshot.facts import (
    DnsRecordsPut,
    Fact,
    NodeDue,
    NodePut,
    NodeRemoved,
    PolicyPut,
    RegionsPut,
    RelayPut,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRemoved,
)
from services.map_streamer.snapshot.notices import NoticeSettings, find_notices
from services.map_streamer.snapshot.records import Cursor, NodeRecord, RelayRecord, UserRecord
from services.map_streamer.snapshot.table import Table
from services.shared.access.compiled import ALLOW_ALL, CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.inventory import access_node, access_user, is_suspended
from services.shared.tailnet_settings import TailnetSettings


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """The input of a fold besides facts and clock, for evaluator and notices; constant while the process runs."""

    server_url: str = ""
    prefixes: tuple[str, ...] = ()
    taildrop: bool = True
    auto_update: bool = False
    random_ports: bool = False
    notices: NoticeSettings = field(default_factory=NoticeSettings)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one position. The tables are never changed in place."""

    access: Access
    cursor: Cursor = field(default_factory=Cursor)
    nodes: Mapping[int, NodeRecord] = field(default_factory=dict)
    users: Mapping[int, UserRecord] = field(default_factory=dict)
    relays: Mapping[str, RelayRecord] = field(default_factory=dict)
    policy: CompiledPolicy = ALLOW_ALL
    regions: bytes = b"{}"
    """DERP regions from the configuration, as a JSON object by id."""
    dns_records: tuple[tuple[str, str, str], ...] = ()
    """Extra DNS records from a watched file."""
    settings: TailnetSettings = field(default_factory=TailnetSettings)
    """What administrators stored in place of the configuration."""
    by_key: Mapping[bytes, int] = field(default_factory=dict)
    """Node ids by node key."""
    access_nodes: Mapping[int, AccessNode] = field(default_factory=dict)
    """The evaluator's input for each node, by id; without the nodes of suspended users."""


def _evaluator(
    policy: CompiledPolicy,
    users: Mapping[int, UserRecord],
    nodes: Mapping[int, AccessNode],
    settings: AccessSettings,
    previous: Access | None = None,
) -> Access:
    return Access(
        policy,
        map(access_user, users.values()),
        (nodes[node_id] for node_id in sorted(nodes)),
        server_url=settings.server_url,
        prefixes=settings.prefixes,
        taildrop=settings.taildrop,
        auto_update=settings.auto_update,
        random_ports=settings.random_ports,
        previous=previous,
    )


def empty(settings: AccessSettings) -> Snapshot:
    """Return the snapshot before any fact."""
    return Snapshot(_evaluator(ALLOW_ALL, {}, {}, settings))


class _Draft:
    """The tables of the next snapshot while facts are being applied."""

    def __init__(self, before: Snapshot, now: datetime, notices: NoticeSettings) -> None:
        self.now = now
        self._notices = notices
        self.nodes = Table(before.nodes)
        self.users = Table(before.users)
        self.relays = Table(before.relays)
        self.by_key = Table(before.by_key)
        self.access_nodes = Table(before.access_nodes)
        self.policy = before.policy
        self.regions = before.regions
        self.dns_records = before.dns_records
        self.settings = before.settings
        self.reshaped = False

    def apply(self, fact: Fact) -> None:  # noqa: C901  (one case per fact, complete by assert_never)
        match fact:
            case NodePut(node):
                self._put_node(msgspec.structs.replace(node, recorded_expiry=node.expiry))
            case NodeRemoved(node_id):
                self._remove_node(node_id)
            case NodeDue(node_id):
                if node_id in self.nodes.now:
                    self._put_node(self.nodes.now[node_id])
            case UserPut(user):
                self._put_user(user)
            case UserRemoved(user_id):
                self.reshaped |= self.users.drop(user_id)
            case RelayPut(relay):
                if self.relays.now.get(relay.name) != relay:
                    self.relays.put(relay.name, relay)
            case RelayRemoved(name):
                self.relays.drop(name)
            case PolicyPut(policy):
                self.reshaped |= policy != self.policy
                self.policy = policy
            case RegionsPut(regions):
                self.regions = regions
            case DnsRecordsPut(records):
                self.dns_records = records
            case SettingsPut(settings):
                self.reshaped |= settings.auto_updates != self.settings.auto_updates
                if settings != self.settings:
                    self.settings = settings
            case _:
                assert_never(fact)

    def _put_node(self, node: NodeRecord) -> None:
        past = node.recorded_expiry is not None and node.recorded_expiry <= self.now
        suspended = self._owner_suspended(node)
        expired = node.recorded_expired or suspended
        # Clients compare KeyExpiry with their clock, so a key expired early must carry a time in the past.
        expiry = node.created if expired and not past else node.recorded_expiry
        notices = find_notices(
            suspended=suspended,
            expired=past or expired,
            expiry=node.recorded_expiry,
            attributes=node.attributes,
            now=self.now,
            settings=self._notices,
        )
        if (node.expiry, node.expired, node.notices) != (expiry, past or expired, notices):
            node = msgspec.structs.replace(node, expiry=expiry, expired=past or expired, notices=notices)
        old = self.nodes.now.get(node.id)
        if old == node:
            return
        self.nodes.put(node.id, node)
        if old is None or old.node_key != node.node_key:
            if old is not None:
                self._forget_key(old)
            self.by_key.put(node.node_key, node.id)
        self._place(node)

    def _owner_suspended(self, node: NodeRecord) -> bool:
        """Return whether the node's owner is suspended. Tagged nodes have no owner."""
        return is_suspended(node.tags, self.users.now.get(node.user_id))

    def _place(self, node: NodeRecord) -> None:
        if self._owner_suspended(node):
            self.reshaped |= self.access_nodes.drop(node.id)
            return
        known = access_node(node, node.created, node.attributes, expired=node.expired)
        if self.access_nodes.now.get(node.id) != known:
            self.access_nodes.put(node.id, known)
            self.reshaped = True

    def _remove_node(self, node_id: int) -> None:
        node = self.nodes.now.get(node_id)
        if node is None:
            return
        self.nodes.drop(node_id)
        self._forget_key(node)
        self.reshaped |= self.access_nodes.drop(node_id)

    def _forget_key(self, node: NodeRecord) -> None:
        if self.by_key.now.get(node.node_key) == node.id:
            self.by_key.drop(node.node_key)

    def _put_user(self, user: UserRecord) -> None:
        old = self.users.now.get(user.id)
        if old == user:
            return
        self.users.put(user.id, user)
        if old is None or _identity(old) != _identity(user):
            self.reshaped = True
        if user.suspended != (old is not None and old.suspended):
            for node in [node for node in self.nodes.now.values() if node.user_id == user.id]:
                self._put_node(node)
                self._place(node)  # also if its record stays the same, because its key had expired by the clock


def _identity(user: UserRecord) -> tuple[object, ...]:
    return user.name, user.email, user.provider_id, user.role, user.groups


def fold(
    before: Snapshot,
    facts: Iterable[Fact],
    cursor: Cursor,
    now: datetime,
    settings: AccessSettings,
    timed: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Snapshot:
    """Return the snapshot after the facts. Tables and `Access` that they do not change stay the same objects.

    `timed` is entered while visibility is evaluated again.
    """
    draft = _Draft(before, now, settings.notices)
    for fact in facts:
        draft.apply(fact)
    users = draft.users.settled()
    access = before.access
    if draft.reshaped:
        with timed():
            chosen = draft.settings.auto_updates
            in_force = settings if chosen is None else replace(settings, auto_update=chosen)
            access = _evaluator(draft.policy, users, draft.access_nodes.now, in_force, before.access)
    return replace(
        before,
        access=access,
        cursor=cursor,
        nodes=draft.nodes.now,
        users=users,
        relays=draft.relays.settled(),
        policy=draft.policy,
        regions=draft.regions,
        dns_records=draft.dns_records,
        settings=draft.settings,
        by_key=draft.by_key.now,
        access_nodes=draft.access_nodes.now,
    )


def affected_nodes(before: Snapshot, after: Snapshot) -> frozenset[int]:
    """Return nodes that changed without a fact of their own: their owner was suspended or restored."""
    if before.users is after.users:
        return frozenset()
    cut = {user.id for user in before.users.values() if user.suspended}
    turned = cut ^ {user.id for user in after.users.values() if user.suspended}
    return frozenset(node.id for node in after.nodes.values() if turned and not node.tags and node.user_id in turned)


def replacement(
    before: Snapshot,
    nodes: Iterable[NodeRecord],
    users: Iterable[UserRecord],
    relays: Iterable[RelayRecord],
    settings: TailnetSettings,
) -> list[Fact]:
    """Return the facts that turn `before` into a fetched snapshot, so that sessions are sent only the difference."""
    facts: list[Fact] = [SettingsPut(settings), *(UserPut(user) for user in users)]
    facts += [NodePut(node) for node in nodes]
    facts += [RelayPut(relay) for relay in relays]
    kept_nodes = {fact.node.id for fact in facts if isinstance(fact, NodePut)}
    kept_users = {fact.user.id for fact in facts if isinstance(fact, UserPut)}
    kept_relays = {fact.relay.name for fact in facts if isinstance(fact, RelayPut)}
    facts += [NodeRemoved(node_id) for node_id in before.nodes.keys() - kept_nodes]
    facts += [UserRemoved(user_id) for user_id in before.users.keys() - kept_users]
    facts += [RelayRemoved(name) for name in before.relays.keys() - kept_relays]
    return facts
