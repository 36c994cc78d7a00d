"""The HTTP handlers of a sign-in: start, callback, confirmation. Translates to the stubs and decides nothing.

    POST /oidc/start/{auth_id}     sets a cookie and redirects to the default provider, or to /{provider}
    GET  /oidc/callback            takes the provider's answer and redirects to the page below, so that a reload is
                                   harmless; every provider but the default one has its own /oidc/callback/{provider}
    GET  /oidc/confirm/{flow_id}   shows the state of the sign-in
    POST /oidc/confirm/{flow_id}   takes the person's confirmation and redirects to the page above

Each sign-in has its own cookie, so tabs do not disturb each other. Only a posted form changes anything, except for the
callback, which works once and is refused from a browser that fetches ahead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.public import login
from gateway.public.login import TIMEOUT, answer_page, ssh_view_of, view_of
from gateway.public.offered import Offered
from gateway.public.pages import sign_in as pages
from gateway.public.pages import ssh
from gateway.public.pages.frame import HEADERS
from gateway.public.pages.html import Html, html
from gateway.public.pages.login import device_of, unavailable_page, unknown_page
from gateway.web import POST, Routes
from services.shared.ids import is_auth_id
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_FORM = 4096
MAX_COOKIES = 5
"""Sign-ins whose cookies one browser keeps; the oldest is deleted, to bound the size of its headers."""
CALLBACK_TIMEOUT = 45.0
"""Seconds: up to four requests go to the provider, each with a deadline of ten seconds."""
_FLOW_ID = re.compile(r"[0-9a-f]{24}\Z", re.ASCII)
_SPECULATIVE = ("prefetch", "prerender", "preview")


def page_routers(offered: Offered, server_url: str, auth_stub: Any) -> list[Routes]:
    """Return the routes of all pages that people read."""
    landing = login.router(auth_stub, server_url, ways=offered.ways, ssh_ways=offered.ssh_ways, form=offered.form)
    return [landing, router(auth_stub, server_url, offered.label)]


def router(
    auth_stub: Any,
    server_url: str,
    label: Callable[[str], str],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Routes:
    """Return the routes of sign-ins; `auth_stub` is an `AuthServiceStub`, `label` names a provider for people."""
    url = server_url.rstrip("/")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    pages = _SignInPages(auth_stub, url, origin, label, _Jar(secure=url.startswith("https://")), now)
    routes = Routes()
    routes.add("/oidc/start/{auth_id}/{provider}", pages.start, POST)
    routes.add("/oidc/start/{auth_id}", pages.start, POST)
    routes.add("/oidc/callback/{provider}", pages.callback)
    routes.add("/oidc/callback", pages.callback)
    routes.add("/oidc/confirm/{flow_id}", pages.show)
    routes.add("/oidc/confirm/{flow_id}", pages.decide, POST)
    return routes


@dataclass(frozen=True, slots=True)
class _SignInPages:
    """The handlers of these pages."""

    auth_stub: Any
    server_url: str
    origin: str
    label: Callable[[str], str]
    jar: _Jar
    now: Callable[[], datetime]

    async def start(self, auth_id: str, request: Request, provider: str = "") -> Response:
        if not is_auth_id(auth_id):
            return answer_page(unknown_page(self.server_url), 404)
        if not _from_our_page(request, self.origin):
            return answer_page(pages.lost_page(), 403)
        client = request.client.host if request.client else ""
        try:
            ask = pb.StartSignInRequest(auth_id=auth_id, remote_address=client, provider=provider)
            started = await self.auth_stub.StartSignIn(ask, timeout=CALLBACK_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return _failed(error, self.server_url, self.label(provider), auth_id=auth_id)
        response = RedirectResponse(started.authorization_url, 303, HEADERS)
        left = started.expires_at.ToDatetime(tzinfo=UTC) - self.now()
        self.jar.put(request, response, started.flow_id, started.browser_secret, max(1, int(left.total_seconds())))
        return response

    async def callback(self, request: Request, provider: str = "") -> Response:
        if _is_speculative(request):
            return Response(status_code=403, headers=HEADERS)
        query = request.query_params
        if any(len(query.getlist(name)) > 1 for name in query):
            return answer_page(pages.lost_page(), 400)
        state = query.get("state", "")
        flow_id = state.partition(".")[0]
        ask = pb.FinishSignInRequest(
            state=state,
            code=query.get("code", ""),
            iss=query.get("iss"),
            error=query.get("error", ""),
            error_description=query.get("error_description", ""),
            browser_secret=self.jar.get(request, flow_id),
            provider=provider,
        )
        try:
            answer = await self.auth_stub.FinishSignIn(ask, timeout=CALLBACK_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return _failed(error, self.server_url, self.label(provider), flow_id=flow_id)
        return RedirectResponse(answer.authorization_url or f"/oidc/confirm/{answer.sign_in.flow_id}", 303, HEADERS)

    async def show(self, flow_id: str, request: Request) -> Response:
        ask = pb.GetSignInRequest(flow_id=flow_id, browser_secret=self.jar.get(request, flow_id))
        try:
            found = (await self.auth_stub.GetSignIn(ask, timeout=TIMEOUT)).sign_in
        except grpc.aio.AioRpcError as error:
            return _failed(error, self.server_url, self.label(""), flow_id=flow_id)
        return _shown(found, self.now())

    async def decide(self, flow_id: str, request: Request) -> Response:
        form = await _form(request)
        if not _from_our_page(request, self.origin) or form.get("answer") not in ("yes", "no"):
            return answer_page(pages.lost_page(), 403)
        ask = pb.ConfirmSignInRequest(
            flow_id=flow_id,
            browser_secret=self.jar.get(request, flow_id),
            confirmation=form.get("confirmation", ""),
            approve=form["answer"] == "yes",
        )
        try:
            await self.auth_stub.ConfirmSignIn(ask, timeout=CALLBACK_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return _failed(error, self.server_url, self.label(""), flow_id=flow_id)
        return RedirectResponse(f"/oidc/confirm/{flow_id}", 303, HEADERS)


def _is_speculative(request: Request) -> bool:
    """Return whether a browser fetches the page for a preview or in advance, before the person opens it."""
    purpose = " ".join(request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz")).lower()
    return any(mark in purpose for mark in _SPECULATIVE)


def _shown(found: pb.SignIn, now: datetime) -> Response:
    if found.for_ssh:
        return _shown_ssh(found, now)
    device = device_of(view_of(found.login), now) if found.HasField("login") else html("")
    match found.state:
        case pb.SIGN_IN_STATE_CONFIRMING:
            return answer_page(
                pages.confirm_page(found.flow_id, found.user, device, found.confirmation, found.notices), form="'self'"
            )
        case pb.SIGN_IN_STATE_DONE:
            return answer_page(pages.done_page(found.user, device, found.notices))
        case pb.SIGN_IN_STATE_REFUSED:
            waits = found.HasField("login") and not found.login.decided
            again = pages.again_link(found.login.auth_id) if waits else None
            refused = pages.refused_page(
                found.reason, found.text, found.flow_id, final=found.final, again=again, account=found.user
            )
            return answer_page(refused, 403)
    return answer_page(pages.waiting_page(), headers={"Refresh": "2"})


def _shown_ssh(found: pb.SignIn, now: datetime) -> Response:
    check = found.ssh_check
    session = ssh.session_of(ssh_view_of(check), now) if found.HasField("ssh_check") else html("")
    match found.state:
        case pb.SIGN_IN_STATE_CONFIRMING:
            return answer_page(ssh.confirm_page(found.flow_id, found.user, session, found.confirmation), form="'self'")
        case pb.SIGN_IN_STATE_DONE:
            return answer_page(ssh.done_page(session))
        case pb.SIGN_IN_STATE_REFUSED:
            waits = found.HasField("ssh_check") and not check.decided
            again = pages.again_link(check.auth_id, "session") if waits else None
            return answer_page(
                pages.refused_page(
                    found.reason,
                    found.text,
                    found.flow_id,
                    final=found.final,
                    again=again,
                    what="session",
                    account=found.user,
                ),
                403,
            )
    return answer_page(pages.waiting_page(), headers={"Refresh": "2"})


def _failed(error: grpc.aio.AioRpcError, url: str, provider: str, *, auth_id: str = "", flow_id: str = "") -> Response:
    code = error.code()
    flow_id = flow_id if _FLOW_ID.match(flow_id) else ""
    if code is grpc.StatusCode.NOT_FOUND and auth_id:
        return answer_page(unknown_page(url), 404)
    if code is grpc.StatusCode.FAILED_PRECONDITION and auth_id:
        return RedirectResponse(f"/register/{auth_id}", 303, HEADERS)
    if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        log.info("sign-in not started in this browser", code=code.name, flow_id=flow_id)
        return answer_page(pages.lost_page(flow_id), 404)
    log.warning("sign-in cannot continue", code=code.name, auth_id=auth_id, flow_id=flow_id)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and auth_id:
        return answer_page(pages.busy_page(auth_id), 429, {"Retry-After": "60"})
    if code is grpc.StatusCode.UNAVAILABLE and auth_id:
        page: Html = pages.unreachable_page(provider, error.details() or "", auth_id)
        return answer_page(page, 503, {"Retry-After": "30"})
    return answer_page(unavailable_page(auth_id or flow_id), 503, {"Retry-After": "5"})


def _from_our_page(request: Request, origin: str) -> bool:
    """Return whether a form was posted by one of our pages; the cookie protects browsers that send neither header."""
    given = request.headers.get("origin")
    if given not in (None, "null") and given.lower() != origin.lower():
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            return {}
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


class _Jar:
    """One cookie for each sign-in. `__Host-` binds it to this host; over plain http there is no prefix."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._prefix = "__Host-sign-in-" if secure else "sign-in-"

    def get(self, request: Request, flow_id: str) -> str:
        return request.cookies.get(self._prefix + flow_id[:24], "")

    def put(self, request: Request, response: Response, flow_id: str, secret: str, seconds: int) -> None:
        # The names begin with the time, so the first are the oldest.
        mine = sorted(name for name in request.cookies if name.startswith(self._prefix))
        for name in mine[: max(0, len(mine) - MAX_COOKIES + 1)]:
            response.delete_cookie(name, path="/", secure=self._secure, httponly=True, samesite="lax")
        response.set_cookie(
            self._prefix + flow_id,
            secret,
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
