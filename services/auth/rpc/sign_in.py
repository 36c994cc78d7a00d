"""The RPCs of sign-ins, which browsers reach through the gateway."""

from __future__ import annotations

from grpc.aio import ServicerContext
from smartscale.auth.v1 import auth_pb2 as pb

from services.auth.model.errors import ConflictError
from services.auth.model.login import Login, read_auth_id
from services.auth.model.oidc.flow import FlowKind, FlowState
from services.auth.model.ssh_check import PendingSshCheck
from services.auth.rpc import writing
from services.auth.rpc.errors import STATUS
from services.auth.usecases.sign_in import ProviderHealth, SignIn, SignInView
from services.auth.usecases.verify_sign_in import ProviderCallback
from services.shared.rpc import answers
from services.shared.runtime.reload import Reloader
from services.shared.telemetry import Telemetry
from services.shared.telemetry.instruments import Counter

MAX_PARAMETER = 8192
MAX_WORDS = 300

_STATES = {
    FlowState.STARTED: pb.SIGN_IN_STATE_STARTED,
    FlowState.CHECKING: pb.SIGN_IN_STATE_CHECKING,
    FlowState.CONFIRMING: pb.SIGN_IN_STATE_CONFIRMING,
    FlowState.DONE: pb.SIGN_IN_STATE_DONE,
    FlowState.REFUSED: pb.SIGN_IN_STATE_REFUSED,
}


@answers(STATUS)
class SignInServicer:
    """StartSignIn, FinishSignIn, GetSignIn, ConfirmSignIn."""

    def __init__(self, sign_in: SignIn | None, telemetry: Telemetry, reloader: Reloader | None = None) -> None:
        self._sign_in = sign_in
        self._reloader = reloader
        self._ended = Counter(
            "smartscale_sign_ins_total",
            "Sign-ins that came back from the provider, by reason; empty: proven.",
            ["reason"],
            registry=telemetry.registry,
        )

    async def StartSignIn(
        self,
        request: pb.StartSignInRequest,
        context: ServicerContext[pb.StartSignInRequest, pb.StartSignInResponse],
    ) -> pb.StartSignInResponse:
        """Start a sign-in: return the provider's URL for the browser."""
        started = await self._use().start(read_auth_id(request.auth_id), request.provider, request.remote_address)
        return pb.StartSignInResponse(
            authorization_url=started.authorization_url,
            flow_id=started.flow.flow_id,
            browser_secret=started.browser_secret,
            expires_at=writing.instant(started.flow.expires_at),
        )

    async def FinishSignIn(
        self,
        request: pb.FinishSignInRequest,
        context: ServicerContext[pb.FinishSignInRequest, pb.FinishSignInResponse],
    ) -> pb.FinishSignInResponse:
        """Verify the callback of a provider."""
        callback = ProviderCallback(
            unverified_state=request.state[:MAX_PARAMETER],
            code=request.code[:MAX_PARAMETER],
            iss=request.iss[:MAX_PARAMETER] if request.HasField("iss") else None,
            error=_words(request.error),
            error_description=_words(request.error_description),
        )
        view = await self._use().finish(callback, request.browser_secret, request.provider)
        if view.authorization_url:
            return pb.FinishSignInResponse(authorization_url=view.authorization_url)
        self._ended.labels(view.flow.reason).inc()
        return pb.FinishSignInResponse(sign_in=_sign_in(view))

    async def GetSignIn(
        self, request: pb.GetSignInRequest, context: ServicerContext[pb.GetSignInRequest, pb.GetSignInResponse]
    ) -> pb.GetSignInResponse:
        """Return the state of a sign-in."""
        return pb.GetSignInResponse(sign_in=_sign_in(await self._use().view(request.flow_id, request.browser_secret)))

    async def ConfirmSignIn(
        self,
        request: pb.ConfirmSignInRequest,
        context: ServicerContext[pb.ConfirmSignInRequest, pb.ConfirmSignInResponse],
    ) -> pb.ConfirmSignInResponse:
        """Finish a sign-in: the person confirms or denies that the device is theirs."""
        view = await self._use().confirm(request.flow_id, request.browser_secret, request.confirmation, request.approve)
        return pb.ConfirmSignInResponse(sign_in=_sign_in(view))

    async def GetSignInHealth(
        self,
        request: pb.GetSignInHealthRequest,
        context: ServicerContext[pb.GetSignInHealthRequest, pb.GetSignInHealthResponse],
    ) -> pb.GetSignInHealthResponse:
        """Return the providers in use and the newest failures."""
        sign_in = self._use()
        providers = await sign_in.providers()
        return pb.GetSignInHealthResponse(
            providers=[_provider(one) for one in providers],
            failures=[
                pb.SignInFailure(
                    time=writing.instant(one.time),
                    flow_id=one.flow_id,
                    provider=one.provider,
                    reason=one.reason.value,
                    text=one.text,
                )
                for one in sign_in.history.failures()
            ],
            notices=[
                pb.SignInNotice(
                    time=writing.instant(one.time),
                    flow_id=one.flow_id,
                    provider=one.provider,
                    claim=one.claim,
                    text=one.text,
                    remedy=one.remedy,
                )
                for one in sign_in.history.notices()
            ],
        )

    async def ReloadConfiguration(
        self,
        request: pb.ReloadConfigurationRequest,
        context: ServicerContext[pb.ReloadConfigurationRequest, pb.ReloadConfigurationResponse],
    ) -> pb.ReloadConfigurationResponse:
        """Reload the configuration in every process."""
        if self._reloader is None:
            raise ConflictError("this process cannot read its configuration again")
        done = await self._reloader.reload(tell_others=True)
        return pb.ReloadConfigurationResponse(
            problems=done.problems,
            changed=done.changed,
            needs_restart=done.needs_restart,
            warnings=done.warnings,
        )

    def _use(self) -> SignIn:
        if self._sign_in is None:
            raise ConflictError("no sign-in provider is configured")
        return self._sign_in


def _sign_in(view: SignInView) -> pb.SignIn:
    flow, waiting = view.flow, view.waiting
    return pb.SignIn(
        flow_id=flow.flow_id,
        state=_STATES[flow.state],
        login=writing.login(waiting) if isinstance(waiting, Login) else None,
        ssh_check=writing.ssh_check(waiting) if isinstance(waiting, PendingSshCheck) else None,
        for_ssh=flow.kind is FlowKind.SSH,
        user=flow.user_text,
        reason=flow.reason,
        text=flow.text,
        final=flow.final,
        confirmation=view.confirmation,
        notices=flow.notices,
    )


def _provider(health: ProviderHealth) -> pb.ProviderHealth:
    return pb.ProviderHealth(
        name=health.offer.name,
        label=health.offer.label,
        issuer=health.offer.issuer,
        accepted_issuer=health.accepted_issuer,
        usable=health.trouble is None,
        reason=health.trouble.reason.value if health.trouble is not None else "",
        text=str(health.trouble or ""),
        redirect_uri=health.offer.verify_sign_in.settings.redirect_uri,
    )


def _words(text: str) -> str:
    """Return an untrusted text as one line for people and logs."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text[:MAX_WORDS]).split())
