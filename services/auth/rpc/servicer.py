"""Registrations, logins, rights and keys: one method per RPC. `keys`, `sign_in`, `ssh` and `audit` have the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from grpc.aio import ServicerContext
from opentelemetry import trace
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc

from services.auth.model.login import RegisterMethod, read_auth_id
from services.auth.model.rights import MAX_ACTOR, MAX_REASON, RightsSource
from services.auth.rpc import writing
from services.auth.rpc.errors import STATUS
from services.auth.rpc.keys import KeysServicer, grant_message
from services.auth.rpc.reading import (
    placeholder_registration,
    read_id,
    read_new_auth_id,
    read_optional,
    read_registration,
    read_words,
)
from services.auth.rpc.sign_in import SignInServicer
from services.auth.rpc.ssh import SshServicer
from services.auth.usecases.api_keys import ApiKeys
from services.auth.usecases.await_login import AwaitLogin
from services.auth.usecases.change_rights import ChangeRights
from services.auth.usecases.credentials import Credentials
from services.auth.usecases.evaluate_access import EvaluateAccess
from services.auth.usecases.logins import Logins
from services.auth.usecases.outcome import Outcome
from services.auth.usecases.preauth_keys import PreAuthKeys
from services.auth.usecases.register import RegisterNode
from services.auth.usecases.sign_in import SignIn
from services.auth.usecases.ssh_checks import SshChecks
from services.shared.ids import UserId
from services.shared.rpc import answers, machine_key_of
from services.shared.runtime.reload import Reloader
from services.shared.telemetry import Telemetry
from services.shared.telemetry.instruments import Counter


@dataclass(frozen=True, slots=True)
class AuthUseCases:
    """The use cases that the servicer calls."""

    register: RegisterNode
    await_login: AwaitLogin
    logins: Logins
    preauth_keys: PreAuthKeys
    api_keys: ApiKeys
    rights: ChangeRights
    ssh_checks: SshChecks
    evaluate_access: EvaluateAccess
    credentials: Credentials
    sign_in: SignIn | None = None
    reloader: Reloader | None = None


@answers(STATUS)
class AuthServicer(SignInServicer, SshServicer, KeysServicer, auth_pb2_grpc.AuthServiceServicer):
    """smartscale.auth.v1.AuthService."""

    def __init__(self, cases: AuthUseCases, telemetry: Telemetry) -> None:
        SignInServicer.__init__(self, cases.sign_in, telemetry, cases.reloader)
        SshServicer.__init__(self, cases.ssh_checks, telemetry)
        KeysServicer.__init__(self, cases.credentials)
        self._cases = cases
        self._tracer = telemetry.tracer
        self._answers = Counter(
            "smartscale_registrations_total",
            "Registrations answered, by how they ended.",
            ["outcome"],
            registry=telemetry.registry,
        )

    async def Register(
        self, request: pb.RegisterRequest, context: ServicerContext[pb.RegisterRequest, pb.RegisterResponse]
    ) -> pb.RegisterResponse:
        """Answer a client's registration."""
        with self._span("auth register") as span:
            result = await self._cases.register.register(read_registration(request, machine_key_of(context)))
            return self._answer(result, span)

    async def AwaitLogin(
        self,
        request: pb.AwaitLoginRequest,
        context: ServicerContext[pb.AwaitLoginRequest, pb.AwaitLoginResponse],
    ) -> pb.AwaitLoginResponse:
        """Wait until a client's login is decided."""
        with self._span("auth await login") as span:
            registration = read_registration(request.registration, machine_key_of(context))
            result = await self._cases.await_login.wait(registration, request.followup)
            return pb.AwaitLoginResponse(response=self._answer(result, span))

    async def OpenLogin(
        self, request: pb.OpenLoginRequest, context: ServicerContext[pb.OpenLoginRequest, pb.OpenLoginResponse]
    ) -> pb.OpenLoginResponse:
        """Open a login for a device that does not exist, for trials."""
        auth_id = read_new_auth_id(request.auth_id) if request.auth_id else None
        login = await self._cases.logins.open(placeholder_registration(request.hostinfo), auth_id)
        return pb.OpenLoginResponse(login=writing.login(login))

    async def GetPendingLogin(
        self,
        request: pb.GetPendingLoginRequest,
        context: ServicerContext[pb.GetPendingLoginRequest, pb.GetPendingLoginResponse],
    ) -> pb.GetPendingLoginResponse:
        """Return a login for the page that shows it."""
        found = await self._cases.logins.get(read_auth_id(request.auth_id))
        return pb.GetPendingLoginResponse(login=writing.login(found))

    async def ListPendingLogins(
        self,
        request: pb.ListPendingLoginsRequest,
        context: ServicerContext[pb.ListPendingLoginsRequest, pb.ListPendingLoginsResponse],
    ) -> pb.ListPendingLoginsResponse:
        """Return all pending logins."""
        found = await self._cases.logins.list()
        return pb.ListPendingLoginsResponse(logins=[writing.login(login) for login in found])

    async def ApproveLogin(
        self,
        request: pb.ApproveLoginRequest,
        context: ServicerContext[pb.ApproveLoginRequest, pb.ApproveLoginResponse],
    ) -> pb.ApproveLoginResponse:
        """Approve a login as an administrator."""
        with self._span("auth approve login"):
            user_id = UserId(read_id(request.user_id))
            admitted = await self._cases.logins.approve(read_auth_id(request.auth_id), user_id, RegisterMethod.CLI)
            return pb.ApproveLoginResponse(node=admitted.node.record, user=writing.user(admitted.user))

    async def RejectLogin(
        self,
        request: pb.RejectLoginRequest,
        context: ServicerContext[pb.RejectLoginRequest, pb.RejectLoginResponse],
    ) -> pb.RejectLoginResponse:
        """Reject a login as an administrator."""
        await self._cases.logins.reject(read_auth_id(request.auth_id))
        return pb.RejectLoginResponse()

    async def SuspendUser(
        self,
        request: pb.SuspendUserRequest,
        context: ServicerContext[pb.SuspendUserRequest, pb.SuspendUserResponse],
    ) -> pb.SuspendUserResponse:
        """Suspend a user."""
        with self._span("auth suspend user"):
            user = await self._cases.rights.suspend(*_rights(request))
            return pb.SuspendUserResponse(user=writing.user(user))

    async def RestoreUser(
        self,
        request: pb.RestoreUserRequest,
        context: ServicerContext[pb.RestoreUserRequest, pb.RestoreUserResponse],
    ) -> pb.RestoreUserResponse:
        """Restore a suspended user."""
        with self._span("auth restore user"):
            user = await self._cases.rights.restore(*_rights(request))
            return pb.RestoreUserResponse(user=writing.user(user))

    async def EvaluateAccess(
        self,
        request: pb.EvaluateAccessRequest,
        context: ServicerContext[pb.EvaluateAccessRequest, pb.EvaluateAccessResponse],
    ) -> pb.EvaluateAccessResponse:
        """Evaluate the entry rules for a user's identities."""
        evaluations, node_logins = await self._cases.evaluate_access.of(UserId(read_id(request.user_id)))
        return pb.EvaluateAccessResponse(
            evaluations=map(writing.access_evaluation, evaluations), node_logins=map(writing.node_login, node_logins)
        )

    async def CreatePreAuthKey(
        self,
        request: pb.CreatePreAuthKeyRequest,
        context: ServicerContext[pb.CreatePreAuthKeyRequest, pb.CreatePreAuthKeyResponse],
    ) -> pb.CreatePreAuthKeyResponse:
        """Create a pre-auth key."""
        key, text = await self._cases.preauth_keys.create(
            UserId(read_id(request.user_id)),
            reusable=request.reusable,
            ephemeral=request.ephemeral,
            expiration=read_optional(request, "expiration"),
            tags=request.tags,
        )
        return pb.CreatePreAuthKeyResponse(pre_auth_key=writing.preauth_key(key, text))

    async def ListPreAuthKeys(
        self,
        request: pb.ListPreAuthKeysRequest,
        context: ServicerContext[pb.ListPreAuthKeysRequest, pb.ListPreAuthKeysResponse],
    ) -> pb.ListPreAuthKeysResponse:
        """Return all pre-auth keys, or those of one user."""
        user_id = UserId(read_id(request.user_id)) if request.user_id else None
        keys = await self._cases.preauth_keys.list(user_id)
        return pb.ListPreAuthKeysResponse(pre_auth_keys=[writing.preauth_key(key) for key in keys])

    async def ExpirePreAuthKey(
        self,
        request: pb.ExpirePreAuthKeyRequest,
        context: ServicerContext[pb.ExpirePreAuthKeyRequest, pb.ExpirePreAuthKeyResponse],
    ) -> pb.ExpirePreAuthKeyResponse:
        """Expire a pre-auth key."""
        await self._cases.preauth_keys.expire(read_id(request.id))
        return pb.ExpirePreAuthKeyResponse()

    async def DeletePreAuthKey(
        self,
        request: pb.DeletePreAuthKeyRequest,
        context: ServicerContext[pb.DeletePreAuthKeyRequest, pb.DeletePreAuthKeyResponse],
    ) -> pb.DeletePreAuthKeyResponse:
        """Delete a pre-auth key."""
        await self._cases.preauth_keys.delete(read_id(request.id))
        return pb.DeletePreAuthKeyResponse()

    async def CreateApiKey(
        self,
        request: pb.CreateApiKeyRequest,
        context: ServicerContext[pb.CreateApiKeyRequest, pb.CreateApiKeyResponse],
    ) -> pb.CreateApiKeyResponse:
        """Create an API key."""
        key, text = await self._cases.api_keys.create(read_optional(request, "expiration"))
        return pb.CreateApiKeyResponse(key=text, api_key=writing.api_key(key))

    async def ListApiKeys(
        self,
        request: pb.ListApiKeysRequest,
        context: ServicerContext[pb.ListApiKeysRequest, pb.ListApiKeysResponse],
    ) -> pb.ListApiKeysResponse:
        """Return all API keys."""
        return pb.ListApiKeysResponse(api_keys=[writing.api_key(key) for key in await self._cases.api_keys.list()])

    async def ExpireApiKey(
        self,
        request: pb.ExpireApiKeyRequest,
        context: ServicerContext[pb.ExpireApiKeyRequest, pb.ExpireApiKeyResponse],
    ) -> pb.ExpireApiKeyResponse:
        """Expire an API key."""
        await self._cases.api_keys.expire(read_id(request.id), request.prefix)
        return pb.ExpireApiKeyResponse()

    async def DeleteApiKey(
        self,
        request: pb.DeleteApiKeyRequest,
        context: ServicerContext[pb.DeleteApiKeyRequest, pb.DeleteApiKeyResponse],
    ) -> pb.DeleteApiKeyResponse:
        """Delete an API key."""
        await self._cases.api_keys.delete(read_id(request.id), request.prefix)
        return pb.DeleteApiKeyResponse()

    async def VerifyApiKey(
        self,
        request: pb.VerifyApiKeyRequest,
        context: ServicerContext[pb.VerifyApiKeyRequest, pb.VerifyApiKeyResponse],
    ) -> pb.VerifyApiKeyResponse:
        """Verify an API key or an access token."""
        grant, key = await self._cases.credentials.verify(request.key)
        return pb.VerifyApiKeyResponse(
            api_key=writing.api_key(key) if key is not None else None, grant=grant_message(grant)
        )

    def _answer(self, result: Outcome, span: trace.Span) -> pb.RegisterResponse:
        answer = writing.outcome(result)
        ending = answer.WhichOneof("outcome") or "none"
        span.set_attribute("smartscale.outcome", ending)
        self._answers.labels(ending).inc()
        return answer

    @contextmanager
    def _span(self, name: str) -> Iterator[trace.Span]:
        # Errors are in the status; an exception's text on a span could contain what a client sent.
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            yield span


def _rights(request: pb.SuspendUserRequest | pb.RestoreUserRequest) -> tuple[UserId, RightsSource, str, str]:
    return (
        UserId(read_id(request.user_id)),
        RightsSource.ADMINISTRATOR,
        read_words("actor", request.actor, MAX_ACTOR),
        read_words("reason", request.reason, MAX_REASON),
    )
