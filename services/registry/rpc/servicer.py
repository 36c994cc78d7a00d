"""One method per RPC: request to values, one use case, values to response. Errors become status by the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from grpc import StatusCode
from grpc.aio import ServicerContext
from smartscale.common.v1 import common_pb2
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.registry import wire
from services.registry.model import errors
from services.registry.model.node import Node
from services.registry.model.user import User
from services.registry.rpc import dns, requests, settings, writing
from services.registry.usecases.addresses import Addresses, ChosenAddresses
from services.registry.usecases.admission import NodeAdmission
from services.registry.usecases.attributes import PostureAttributes
from services.registry.usecases.dns import DnsSettings
from services.registry.usecases.elections import Elections
from services.registry.usecases.feed import Feed
from services.registry.usecases.identities import Identities
from services.registry.usecases.listing import Listings
from services.registry.usecases.nodes import Nodes
from services.registry.usecases.people import People
from services.registry.usecases.presence import PresenceTracker
from services.registry.usecases.relays import Relays
from services.registry.usecases.rights import Rights
from services.registry.usecases.tailnet_settings import StoredSettings
from services.registry.usecases.updates import Updates
from services.registry.usecases.users import NewUser, Users
from services.shared.ids import TailnetId, UserId
from services.shared.keys import NodeKey
from services.shared.rpc import answers, machine_key_of
from services.shared.rpc.parts import parts

Context: TypeAlias = "ServicerContext[Any, Any]"

STATUS: dict[type[Exception], StatusCode] = {
    errors.InvalidInputError: StatusCode.INVALID_ARGUMENT,
    errors.NotFoundError: StatusCode.NOT_FOUND,
    errors.AlreadyExistsError: StatusCode.ALREADY_EXISTS,
    errors.ForbiddenError: StatusCode.PERMISSION_DENIED,
    errors.PreconditionError: StatusCode.FAILED_PRECONDITION,
    errors.ExhaustedError: StatusCode.RESOURCE_EXHAUSTED,
    errors.UnavailableError: StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases of one tailnet, by noun."""

    users: Users
    people: People
    identities: Identities
    rights: Rights
    listings: Listings
    nodes: Nodes
    addresses: Addresses
    admission: NodeAdmission
    updates: Updates
    presence: PresenceTracker
    elections: Elections
    relays: Relays
    dns: DnsSettings
    attributes: PostureAttributes
    settings: StoredSettings
    feed: Feed


@answers(STATUS)
class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """RegistryService for one tailnet."""

    def __init__(self, cases: UseCases, tailnet: TailnetId) -> None:
        self._cases = cases
        self._tailnet = tailnet

    async def CreateUser(
        self,
        request: pb.CreateUserRequest,
        context: ServicerContext[pb.CreateUserRequest, pb.CreateUserResponse],
    ) -> pb.CreateUserResponse:
        """Create a user."""
        user = await self._cases.users.create(
            NewUser(
                name=request.name,
                display_name=request.display_name,
                email=request.email,
                profile_pic_url=request.profile_pic_url,
            )
        )
        return pb.CreateUserResponse(user=self._user(user))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: ServicerContext[pb.ListUsersRequest, pb.ListUsersResponse]
    ) -> pb.ListUsersResponse:
        """List users."""
        user_id = requests.read_user_id(request.id) if request.id else None
        users = await self._cases.users.find(user_id, request.name, request.email)
        return pb.ListUsersResponse(users=map(self._user, users))

    async def UpsertLogin(
        self,
        request: pb.UpsertLoginRequest,
        context: ServicerContext[pb.UpsertLoginRequest, pb.UpsertLoginResponse],
    ) -> pb.UpsertLoginResponse:
        """Find or make the user of a person who signed in."""
        user, created = await self._cases.people.sign_in(requests.person(request), create=request.create)
        return pb.UpsertLoginResponse(user=self._user(user), created=created)

    async def GetPerson(
        self, request: pb.GetPersonRequest, context: ServicerContext[pb.GetPersonRequest, pb.GetPersonResponse]
    ) -> pb.GetPersonResponse:
        """Return a user with identities, standing and history."""
        found = await self._cases.identities.details(requests.read_user_id(request.user_id))
        return pb.GetPersonResponse(
            user=self._user(found.user),
            links=map(writing.link, found.links),
            standing=writing.standing(found.standing),
            history=map(writing.entry, found.history),
            nodes=self._nodes(replace(node, hostinfo=b"", endpoints=(), endpoint_types=()) for node in found.nodes),
        )

    async def ListLinks(
        self, request: pb.ListLinksRequest, context: ServicerContext[pb.ListLinksRequest, pb.ListLinksResponse]
    ) -> pb.ListLinksResponse:
        """List the links of all users."""
        return pb.ListLinksResponse(links=map(writing.link, await self._cases.identities.links()))

    async def LinkUser(
        self, request: pb.LinkUserRequest, context: ServicerContext[pb.LinkUserRequest, pb.LinkUserResponse]
    ) -> pb.LinkUserResponse:
        """Link an identity to a user."""
        user_id = requests.read_user_id(request.user_id)
        user = await self._cases.identities.link(user_id, request.issuer, request.subject, request.actor)
        return pb.LinkUserResponse(user=self._user(user))

    async def UnlinkUser(
        self,
        request: pb.UnlinkUserRequest,
        context: ServicerContext[pb.UnlinkUserRequest, pb.UnlinkUserResponse],
    ) -> pb.UnlinkUserResponse:
        """Unlink an identity."""
        user = await self._cases.identities.unlink(request.issuer, request.subject, request.actor)
        return pb.UnlinkUserResponse(user=self._user(user))

    async def RelinkUser(
        self,
        request: pb.RelinkUserRequest,
        context: ServicerContext[pb.RelinkUserRequest, pb.RelinkUserResponse],
    ) -> pb.RelinkUserResponse:
        """Move all identities and nodes of a user to another user."""
        old, new = requests.read_user_id(request.from_user_id), requests.read_user_id(request.to_user_id)
        moved = await self._cases.identities.relink(old, new, request.actor)
        return pb.RelinkUserResponse(user=self._user(moved.user), links=moved.links, nodes=moved.nodes, left=moved.left)

    async def ChangeRights(
        self,
        request: pb.ChangeRightsRequest,
        context: ServicerContext[pb.ChangeRightsRequest, pb.ChangeRightsResponse],
    ) -> pb.ChangeRightsResponse:
        """Apply a change of a user's rights."""
        user, changed = await self._cases.rights.change(requests.rights_change(request))
        return pb.ChangeRightsResponse(user=self._user(user), changed=changed)

    async def RenameUser(
        self,
        request: pb.RenameUserRequest,
        context: ServicerContext[pb.RenameUserRequest, pb.RenameUserResponse],
    ) -> pb.RenameUserResponse:
        """Rename a user."""
        user = await self._cases.users.rename(requests.read_user_id(request.id), request.new_name)
        return pb.RenameUserResponse(user=self._user(user))

    async def SetUserRole(
        self,
        request: pb.SetUserRoleRequest,
        context: ServicerContext[pb.SetUserRoleRequest, pb.SetUserRoleResponse],
    ) -> pb.SetUserRoleResponse:
        """Give a user another role."""
        user = await self._cases.users.set_role(requests.read_user_id(request.id), request.role, request.actor)
        return pb.SetUserRoleResponse(user=self._user(user))

    async def DeleteUser(
        self,
        request: pb.DeleteUserRequest,
        context: ServicerContext[pb.DeleteUserRequest, pb.DeleteUserResponse],
    ) -> pb.DeleteUserResponse:
        """Delete a user."""
        await self._cases.users.delete(requests.read_user_id(request.id))
        return pb.DeleteUserResponse()

    async def FindNode(
        self, request: pb.FindNodeRequest, context: ServicerContext[pb.FindNodeRequest, pb.FindNodeResponse]
    ) -> pb.FindNodeResponse:
        """Find the nodes that a registering client may be."""
        found = await self._cases.admission.find(
            machine_key_of(context),
            requests.read_key(NodeKey, "node_key", request.node_key),
            requests.read_optional_key(NodeKey, "old_node_key", request.old_node_key),
        )
        return pb.FindNodeResponse(
            by_node_key=self._optional_node(found.by_node_key),
            by_old_node_key=self._optional_node(found.by_old_node_key),
            of_machine=self._nodes(found.of_machine),
            users=map(self._user, found.users),
        )

    async def AdmitNode(
        self, request: pb.AdmitNodeRequest, context: ServicerContext[pb.AdmitNodeRequest, pb.AdmitNodeResponse]
    ) -> pb.AdmitNodeResponse:
        """Admit a node."""
        node, owner = await self._cases.admission.admit(requests.admit_request(request, machine_key_of(context)))
        return pb.AdmitNodeResponse(node=self._node(node), user=self._optional_user(owner))

    async def LogOutNode(
        self,
        request: pb.LogOutNodeRequest,
        context: ServicerContext[pb.LogOutNodeRequest, pb.LogOutNodeResponse],
    ) -> pb.LogOutNodeResponse:
        """Expire a client's own key."""
        await self._cases.nodes.log_out(
            machine_key_of(context),
            requests.read_key(NodeKey, "node_key", request.node_key),
            requests.read_instant("expiry", request.expiry) if request.HasField("expiry") else None,
        )
        return pb.LogOutNodeResponse()

    async def UpdateNode(
        self,
        request: pb.UpdateNodeRequest,
        context: ServicerContext[pb.UpdateNodeRequest, pb.UpdateNodeResponse],
    ) -> pb.UpdateNodeResponse:
        """Store a client's report."""
        changed = await self._cases.updates.report(requests.report(request, machine_key_of(context)))
        return pb.UpdateNodeResponse(changed=changed)

    async def ReportSessions(
        self,
        request: pb.ReportSessionsRequest,
        context: ServicerContext[pb.ReportSessionsRequest, pb.ReportSessionsResponse],
    ) -> pb.ReportSessionsResponse:
        """Store a gateway's report of its sessions."""
        answer = await self._cases.presence.report(requests.session_report(request))
        return pb.ReportSessionsResponse(
            resend=answer.resend, probe_node_ids=sorted(answer.probe or ()), names_probed=answer.probe is not None
        )

    async def GetNode(
        self, request: pb.GetNodeRequest, context: ServicerContext[pb.GetNodeRequest, pb.GetNodeResponse]
    ) -> pb.GetNodeResponse:
        """Return one node, by id, by given name or by stable id."""
        if request.stable_id and not (request.id or request.given_name):
            node, owner = await self._cases.listings.with_stable_id(request.stable_id)
        elif request.id or not request.given_name:
            node, owner = await self._cases.listings.get(requests.read_node_id(request.id))
        else:
            node, owner = await self._cases.listings.named(request.given_name)
        return pb.GetNodeResponse(node=self._node(node), user=self._optional_user(owner))

    async def ListNodes(
        self, request: pb.ListNodesRequest, context: ServicerContext[pb.ListNodesRequest, pb.ListNodesResponse]
    ) -> AsyncIterator[pb.ListNodesResponse]:
        """Stream nodes ordered by id."""
        found = await self._cases.listings.nodes(requests.node_filter(request))
        seen: set[UserId] = set()
        for part in parts(found.nodes, wire.node_size) if found.nodes else [[]]:
            owners = sorted({node.user_id for node in part if node.user_id in found.users} - seen)
            seen.update(owners)
            users = [self._user(found.users[owner]) for owner in owners]
            yield pb.ListNodesResponse(nodes=self._nodes(part), users=users, total=found.total)
            await asyncio.sleep(0)  # a large tailnet must not hold up the others' calls

    async def ListSubjects(
        self, request: pb.ListSubjectsRequest, context: ServicerContext[pb.ListSubjectsRequest, pb.ListSubjectsResponse]
    ) -> AsyncIterator[pb.ListSubjectsResponse]:
        """Stream the users and nodes as policies see them, at one position."""
        self._check_tailnet(request.tailnet_id)
        found = await self._cases.listings.subjects(routers_only=request.routers_only)
        yield pb.ListSubjectsResponse(seq=found.position)
        for people in parts(() if request.routers_only else found.users, wire.user_size):
            yield pb.ListSubjectsResponse(seq=found.position, users=map(self._user, people))
            await asyncio.sleep(0)
        for part in parts(found.nodes, wire.subject_size):
            subjects = [wire.subject_to_proto(node, node.id in found.suspended) for node in part]
            yield pb.ListSubjectsResponse(seq=found.position, subjects=subjects)
            await asyncio.sleep(0)

    async def ExpireNode(
        self,
        request: pb.ExpireNodeRequest,
        context: ServicerContext[pb.ExpireNodeRequest, pb.ExpireNodeResponse],
    ) -> pb.ExpireNodeResponse:
        """Set the expiry of a node's key."""
        expiry = requests.read_instant("expiry", request.expiry) if request.HasField("expiry") else None
        if request.restore_expiry:
            if expiry is not None or request.disable_expiry:
                raise errors.InvalidInputError("restore_expiry: excludes expiry and disable_expiry")
            restored = await self._cases.nodes.restore_expiry(requests.read_node_id(request.id))
            return pb.ExpireNodeResponse(node=self._node(restored))
        node = await self._cases.nodes.expire(requests.read_node_id(request.id), expiry, request.disable_expiry)
        return pb.ExpireNodeResponse(node=self._node(node))

    async def RenameNode(
        self,
        request: pb.RenameNodeRequest,
        context: ServicerContext[pb.RenameNodeRequest, pb.RenameNodeResponse],
    ) -> pb.RenameNodeResponse:
        """Rename a node."""
        node_id = requests.read_node_id(request.id)
        if request.from_hostname:
            return pb.RenameNodeResponse(node=self._node(await self._cases.nodes.rename_from_hostname(node_id)))
        node = await self._cases.nodes.rename(node_id, request.new_name)
        return pb.RenameNodeResponse(node=self._node(node))

    async def DeleteNode(
        self,
        request: pb.DeleteNodeRequest,
        context: ServicerContext[pb.DeleteNodeRequest, pb.DeleteNodeResponse],
    ) -> pb.DeleteNodeResponse:
        """Delete a node."""
        await self._cases.nodes.delete(requests.read_node_id(request.id))
        return pb.DeleteNodeResponse()

    async def SetTags(
        self, request: pb.SetTagsRequest, context: ServicerContext[pb.SetTagsRequest, pb.SetTagsResponse]
    ) -> pb.SetTagsResponse:
        """Replace a node's tags."""
        node = await self._cases.nodes.set_tags(requests.read_node_id(request.id), list(request.tags))
        return pb.SetTagsResponse(node=self._node(node))

    async def SetApprovedRoutes(
        self,
        request: pb.SetApprovedRoutesRequest,
        context: ServicerContext[pb.SetApprovedRoutesRequest, pb.SetApprovedRoutesResponse],
    ) -> pb.SetApprovedRoutesResponse:
        """Replace a node's approved routes."""
        node = await self._cases.nodes.approve_routes(requests.read_node_id(request.id), list(request.routes))
        return pb.SetApprovedRoutesResponse(node=self._node(node))

    async def GetDeparture(
        self,
        request: pb.GetDepartureRequest,
        context: ServicerContext[pb.GetDepartureRequest, pb.GetDepartureResponse],
    ) -> pb.GetDepartureResponse:
        """Say why the caller's machine has no node any more."""
        found = await self._cases.nodes.departure(machine_key_of(context))
        reason = pb.DepartureReason.ValueType(int(found.reason))
        return pb.GetDepartureResponse(reason=reason, at=wire.to_timestamp(found.at))

    async def CheckAddresses(
        self,
        request: pb.CheckAddressesRequest,
        context: ServicerContext[pb.CheckAddressesRequest, pb.CheckAddressesResponse],
    ) -> pb.CheckAddressesResponse:
        """Check addresses for a node that does not exist yet."""
        await self._cases.addresses.check(ChosenAddresses(request.ipv4, request.ipv6))
        return pb.CheckAddressesResponse()

    async def SetNodeAddress(
        self,
        request: pb.SetNodeAddressRequest,
        context: ServicerContext[pb.SetNodeAddressRequest, pb.SetNodeAddressResponse],
    ) -> pb.SetNodeAddressResponse:
        """Replace a node's addresses."""
        chosen = ChosenAddresses(request.ipv4, request.ipv6)
        node = await self._cases.addresses.set(requests.read_node_id(request.id), chosen)
        return pb.SetNodeAddressResponse(node=self._node(node))

    async def PreferRoutes(
        self,
        request: pb.PreferRoutesRequest,
        context: ServicerContext[pb.PreferRoutesRequest, pb.PreferRoutesResponse],
    ) -> pb.PreferRoutesResponse:
        """Prefer a router, or take the preference back."""
        node_id = requests.read_node_id(request.id)
        node = await self._cases.elections.prefer(node_id, list(request.routes), undo=request.undo)
        return pb.PreferRoutesResponse(node=self._node(node))

    async def BackfillNodeIps(
        self,
        request: pb.BackfillNodeIpsRequest,
        context: ServicerContext[pb.BackfillNodeIpsRequest, pb.BackfillNodeIpsResponse],
    ) -> pb.BackfillNodeIpsResponse:
        """Give nodes the addresses that they lack."""
        return pb.BackfillNodeIpsResponse(changes=await self._cases.nodes.backfill())

    async def VerifyNodeKey(
        self,
        request: pb.VerifyNodeKeyRequest,
        context: ServicerContext[pb.VerifyNodeKeyRequest, pb.VerifyNodeKeyResponse],
    ) -> pb.VerifyNodeKeyResponse:
        """Return whether a node key may use the relays."""
        key = requests.read_key(NodeKey, "node_key", request.node_key)
        node = await self._cases.nodes.may_relay(key)
        return pb.VerifyNodeKeyResponse(allow=node is not None, node_id=node or 0)

    async def AnnounceRelay(
        self,
        request: pb.AnnounceRelayRequest,
        context: ServicerContext[pb.AnnounceRelayRequest, pb.AnnounceRelayResponse],
    ) -> pb.AnnounceRelayResponse:
        """Store a relay's announcement."""
        await self._cases.relays.announce(wire.relay_from_proto(request.relay))
        return pb.AnnounceRelayResponse()

    async def ChangeAttributes(
        self,
        request: pb.ChangeAttributesRequest,
        context: ServicerContext[pb.ChangeAttributesRequest, pb.ChangeAttributesResponse],
    ) -> pb.ChangeAttributesResponse:
        """Set and remove posture attributes of nodes."""
        changes = list(map(requests.attribute_change, request.nodes))
        return pb.ChangeAttributesResponse(nodes=self._nodes(await self._cases.attributes.change(changes)))

    async def GetSettings(
        self, request: pb.GetSettingsRequest, context: ServicerContext[pb.GetSettingsRequest, pb.GetSettingsResponse]
    ) -> pb.GetSettingsResponse:
        """Return the settings in force."""
        return pb.GetSettingsResponse(settings=settings.to_proto(await self._cases.settings.get()))

    async def ChangeSettings(
        self,
        request: pb.ChangeSettingsRequest,
        context: ServicerContext[pb.ChangeSettingsRequest, pb.ChangeSettingsResponse],
    ) -> pb.ChangeSettingsResponse:
        """Store settings."""
        found = await self._cases.settings.change(settings.read_change(request.change))
        return pb.ChangeSettingsResponse(settings=settings.to_proto(found))

    async def GetDns(
        self, request: pb.GetDnsRequest, context: ServicerContext[pb.GetDnsRequest, pb.GetDnsResponse]
    ) -> pb.GetDnsResponse:
        """Return the DNS configuration in force."""
        return pb.GetDnsResponse(dns=dns.to_proto(await self._cases.dns.get()))

    async def ChangeDns(
        self, request: pb.ChangeDnsRequest, context: ServicerContext[pb.ChangeDnsRequest, pb.ChangeDnsResponse]
    ) -> pb.ChangeDnsResponse:
        """Store parts of the DNS configuration."""
        return pb.ChangeDnsResponse(dns=dns.to_proto(await self._cases.dns.change(dns.read_change(request.change))))

    async def GetSnapshot(
        self,
        request: pb.GetSnapshotRequest,
        context: ServicerContext[pb.GetSnapshotRequest, pb.GetSnapshotResponse],
    ) -> AsyncIterator[pb.GetSnapshotResponse]:
        """Stream all users, nodes and relays, at one position."""
        self._check_tailnet(request.tailnet_id)
        snapshot = await self._cases.feed.snapshot()
        yield pb.GetSnapshotResponse(
            seq=snapshot.position,
            relays=map(wire.relay_to_proto, snapshot.relays),
            settings=snapshot.settings.to_bytes(),
        )
        for people in parts(snapshot.users, wire.user_size):
            yield pb.GetSnapshotResponse(seq=snapshot.position, users=map(self._user, people))
        for part in parts(snapshot.nodes, wire.node_size):
            yield pb.GetSnapshotResponse(seq=snapshot.position, nodes=self._nodes(part))
            await asyncio.sleep(0)  # a large tailnet must not hold up the others' calls

    async def GetChanges(
        self,
        request: pb.GetChangesRequest,
        context: ServicerContext[pb.GetChangesRequest, pb.GetChangesResponse],
    ) -> pb.GetChangesResponse:
        """Return the records after a position."""
        self._check_tailnet(request.tailnet_id)
        page = await self._cases.feed.changes(min(request.after, requests.MAX_ID))
        records = [common_pb2.LogRecord(seq=record.seq, payload=record.payload) for record in page.records]
        return pb.GetChangesResponse(records=records, reset=page.reset, last=page.last)

    def _check_tailnet(self, tailnet: str) -> None:
        if tailnet not in ("", self._tailnet):
            raise errors.NotFoundError("tailnet not found")

    def _node(self, node: Node) -> node_types.Node:
        return wire.node_to_proto(node, self._tailnet)

    def _nodes(self, nodes: Iterable[Node]) -> list[node_types.Node]:
        return [wire.node_to_proto(node, self._tailnet) for node in nodes]

    def _user(self, user: User) -> user_types.User:
        return wire.user_to_proto(user, self._tailnet)

    def _optional_node(self, node: Node | None) -> node_types.Node | None:
        return None if node is None else self._node(node)

    def _optional_user(self, user: User | None) -> user_types.User | None:
        return None if user is None else self._user(user)
