"""Calls about users and their identities: request to values, one use case, values to response."""

from __future__ import annotations

from dataclasses import replace

from grpc.aio import ServicerContext
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.rpc import requests, writing
from services.registry.rpc.calls import STATUS, Calls
from services.registry.usecases.users import NewUser
from services.shared.rpc import answers


@answers(STATUS)
class UserCalls(Calls):
    """Users, identities and rights."""

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
