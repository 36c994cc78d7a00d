"""Admits nodes: finds the node of a registering client, creates it or rotates its key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from services.registry.model.errors import AlreadyExistsError, ForbiddenError, InvalidInputError
from services.registry.model.node import NO_USER, Node, RegisterMethod
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.usecases.addresses import AddressRules, ChosenAddresses
from services.registry.usecases.allocation import Allocator, new_stable_id
from services.registry.usecases.approval import CurrentPolicy
from services.registry.usecases.draft import Draft, user_of
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.settings import RegistrySettings
from services.registry.usecases.tailnet_settings import key_expiry
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey
from services.shared.tailcfg.hostinfo import Hostinfo, keep_net_info
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitRequest:
    """A client that auth has approved."""

    machine_key: MachineKey
    node_key: NodeKey
    old_node_key: NodeKey | None = None
    user_id: UserId = NO_USER
    tags: tuple[str, ...] = ()
    ephemeral: bool = False
    expiry: datetime | None = None
    endless: bool = False
    """True if the key never expires, whatever the default."""
    hostinfo: Hostinfo
    cap_version: int = 0
    register_method: RegisterMethod = RegisterMethod.UNKNOWN
    pre_auth_key_id: int = 0
    addresses: ChosenAddresses = field(default_factory=ChosenAddresses)
    """The addresses that the node is to have."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The existing nodes that a registering client may be."""

    by_node_key: Node | None
    by_old_node_key: Node | None
    of_machine: tuple[Node, ...]
    users: tuple[User, ...]


class NodeAdmission:
    """Use cases of admission."""

    def __init__(
        self,
        ledger: Ledger,
        settings: RegistrySettings,
        allocator: Allocator,
        policies: CurrentPolicy,
        rules: AddressRules,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._settings = settings
        self._allocator = allocator
        self._policies = policies

    async def find(self, machine: MachineKey, node_key: NodeKey, old_node_key: NodeKey | None) -> Candidates:
        """Return the existing nodes that a registering client may be, by its keys."""

        def read(state: State) -> Candidates:
            by_key = state.by_node_key(node_key)
            by_old = None if old_node_key is None else state.by_node_key(old_node_key)
            if by_old is not None and by_old.machine_key != machine:
                by_old = None
            of_machine = tuple(state.of_machine(machine))
            found = [node for node in (by_key, by_old, *of_machine) if node is not None]
            owners = sorted({node.user_id for node in found if node.user_id in state.users})
            return Candidates(by_key, by_old, of_machine, tuple(state.users[owner] for owner in owners))

        return await self._ledger.read(read)

    async def admit(self, request: AdmitRequest) -> tuple[Node, User | None]:
        """Create the node, rotate its key, or confirm it. Idempotent.

        Raises:
            InvalidInputError: neither user nor tags, an expiry in the past, or an address that it may not have.
            NotFoundError: there is no such user.
            ForbiddenError: the node key is another machine's, or the user is suspended.
            AlreadyExistsError: the node key is that of another user's node on this machine, or a node has the address.
            ExhaustedError: no address is left.
        """
        if not request.tags and not request.user_id:
            raise InvalidInputError("a node needs a user or tags")
        if request.endless and request.expiry is not None:
            raise InvalidInputError("an expiry and no expiry cannot both be set")
        self._rules.check_form(request.addresses)

        async def write(draft: Draft) -> tuple[Node, User | None]:
            if request.expiry is not None and request.expiry <= draft.now:
                raise InvalidInputError("the expiry lies in the past")
            owner = None if request.tags else user_of(draft.state, request.user_id)
            # Tags own the node, but a suspended user may not admit one by their key either.
            entitled = owner or draft.state.users.get(request.user_id)
            if entitled is not None and entitled.suspended:
                raise ForbiddenError("this user is suspended; ask the administrator")
            known = _existing_node(draft.state, request)
            if known is None:
                node = await self._create(draft, request)
            else:
                node = self._readmit(draft, known, request)
            node = replace(node, approved_routes=self._policies.approve(draft.state, node))
            if known is not None and (node.ipv4, node.ipv6) != (known.ipv4, known.ipv6):
                draft.readdress_node(node)
            else:
                draft.put_node(node)
            return node, owner

        node, owner = await self._ledger.commit(write)
        log.info("node admitted", node_id=node.id, user_id=node.user_id, method=node.register_method.name.lower())
        return node, owner

    async def _create(self, draft: Draft, request: AdmitRequest) -> Node:
        state, hostinfo = draft.state, request.hostinfo
        node_id = NodeId(await draft.transaction.next_id("node"))
        node = Node(
            id=node_id,
            stable_id=new_stable_id(),
            machine_key=request.machine_key,
            node_key=request.node_key,
            created_at=draft.now,
            given_name=self._allocator.name(state, hostinfo.hostname, node_id),
            user_id=NO_USER if request.tags else request.user_id,
            hostname=hostinfo.hostname,
            tags=request.tags,
            hostinfo=hostinfo.json,
            home_derp=hostinfo.home_derp,
            cap_version=request.cap_version,
            expiry=self._expiry(draft, request),
            ephemeral=request.ephemeral,
            register_method=request.register_method,
            pre_auth_key_id=request.pre_auth_key_id,
            advertised_routes=hostinfo.routable_ips,
            requested_tags=hostinfo.request_tags,
        )
        return self._with_addresses(draft, self._rules.apply(state, node, request.addresses))

    def _with_addresses(self, draft: Draft, node: Node) -> Node:
        """Return a new node with the addresses it lacks: those its device had, where they are free, else new ones."""
        state, now, allocator = draft.state, draft.now, self._allocator
        pools, kept = self._policies.pools(state, node), self._policies.kept_pools()
        ipv4, ipv6 = node.ipv4, node.ipv6
        former = allocator.former(state, node)
        if former is not None:
            ipv4 = ipv4 or allocator.former_ipv4(state, former, pools, kept)
            ipv6 = ipv6 or allocator.former_ipv6(state, former)
            if former.given_name_fixed and state.name_holder(former.given_name) is None:
                node = replace(node, given_name=former.given_name, given_name_fixed=True)
        return replace(
            node,
            ipv4=ipv4 or allocator.ipv4(state, now, pools, kept),
            ipv6=ipv6 or allocator.ipv6(state, now),
        )

    def _readmit(self, draft: Draft, known: Node, request: AdmitRequest) -> Node:
        hostinfo = keep_net_info(request.hostinfo, known.hostinfo)
        owner = NO_USER if request.tags else request.user_id
        confirmed = (
            known.node_key == request.node_key
            and (known.user_id, known.tags) == (owner, request.tags)
            and not known.is_expired(draft.now)
        )
        expiry = known.expiry
        said = request.endless or request.expiry is not None
        if not confirmed or (said and not request.tags):
            expiry = self._expiry(draft, request)
        idle = request.ephemeral and not known.online and not confirmed
        owned = replace(known, user_id=owner, tags=request.tags)
        return replace(
            self._rules.apply(draft.state, owned, request.addresses),
            node_key=request.node_key,
            given_name=self._allocator.rename(draft.state, known, hostinfo.hostname),
            user_id=owner,
            hostname=hostinfo.hostname,
            tags=request.tags,
            hostinfo=hostinfo.json,
            home_derp=hostinfo.home_derp,
            cap_version=request.cap_version or known.cap_version,
            expiry=expiry,
            disabled_expiry=known.disabled_expiry if expiry is None and known.user_id == owner else None,
            expired=False,
            last_seen=draft.now if idle else known.last_seen,  # so that it is not deleted as idle before its first map
            ephemeral=request.ephemeral,
            register_method=request.register_method,
            pre_auth_key_id=request.pre_auth_key_id,
            advertised_routes=hostinfo.routable_ips,
            requested_tags=hostinfo.request_tags,
        )

    def _expiry(self, draft: Draft, request: AdmitRequest) -> datetime | None:
        if request.tags or request.endless:
            return None
        if request.expiry is not None:
            return request.expiry
        lifetime = key_expiry(draft.state.settings, self._settings.node_expiry)
        return draft.now + lifetime if lifetime else None


def _existing_node(state: State, request: AdmitRequest) -> Node | None:
    """Return the existing node of a client, if any: there is one per machine key and user, or tags."""
    by_key = state.by_node_key(request.node_key)
    if by_key is not None and by_key.machine_key != request.machine_key:
        raise ForbiddenError("the node key belongs to another machine")
    by_old = None if request.old_node_key is None else state.by_node_key(request.old_node_key)
    if by_old is not None and by_old.machine_key != request.machine_key:
        by_old = None
    found = _choose(state, request, [node for node in (by_key, by_old) if node is not None])
    if by_key is not None and found is not by_key:
        raise AlreadyExistsError("the node key belongs to another user's node on this machine")
    return found


def _choose(state: State, request: AdmitRequest, named: list[Node]) -> Node | None:
    of_machine = state.of_machine(request.machine_key)
    if request.tags:
        if named:
            return named[0]
        tagged = [node for node in of_machine if node.is_tagged]
        if tagged:
            return tagged[0]
        # A tagged key on the only node of a machine turns it into a tagged one (REG-12).
        return of_machine[0] if len(of_machine) == 1 else None
    for node in (*named, *of_machine):
        if node.user_id == request.user_id and not node.is_tagged:
            return node
    # A person who signs in on a tagged node takes it over: the only way to untag it (NOD-05).
    return next((node for node in named if node.is_tagged), None)
