"""The HTTP handlers of the pages that show a pending login or SSH session. They change nothing.

A device has its page at /register/{auth_id}, an SSH session at /auth/{auth_id}; either path finds both.

GET has no effect, so previews, prefetching and reloads are harmless. A sign-in provider adds its own section to
`ways`; without one only the section of the command line is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2 as pb
from starlette.responses import HTMLResponse, Response

from gateway.public.pages import ssh
from gateway.public.pages.frame import HEADERS
from gateway.public.pages.help import apple_page, apple_profile, windows_page
from gateway.public.pages.html import Html
from gateway.public.pages.login import LoginView, login_page, unavailable_page, unknown_page
from gateway.web import READ, Routes
from services.shared.ids import is_auth_id
from services.shared.keys import MachineKey
from services.shared.telemetry import get_logger

log = get_logger(__name__)

TIMEOUT = 5.0

Way = Callable[[str], Html]
"""Makes the section of the page that offers one way to approve an auth id."""


def router(
    auth_stub: Any,
    server_url: str,
    *,
    ways: Callable[[], Sequence[Way]],
    ssh_ways: Callable[[], Sequence[Way]],
    form: Callable[[], str] = lambda: "'none'",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Routes:
    """Return the routes of the pages of pending logins; `form` returns the CSP source list of the forms' targets."""
    pages = _LandingPages(auth_stub, server_url.rstrip("/"), ways, ssh_ways, form, now)
    routes = Routes()
    routes.add("/register/{auth_id}", pages.device, READ)
    routes.add("/auth/{auth_id}", pages.session, READ)
    routes.add("/apple", pages.apple, READ)
    routes.add("/apple/{platform}", pages.apple_profile, READ)
    routes.add("/windows", pages.windows, READ)
    return routes


@dataclass(frozen=True, slots=True)
class _LandingPages:
    """The handlers of these pages."""

    auth_stub: Any
    server_url: str
    ways: Callable[[], Sequence[Way]]
    ssh_ways: Callable[[], Sequence[Way]]
    form: Callable[[], str]
    now: Callable[[], datetime]

    async def device(self, auth_id: str) -> Response:
        return await self._landing(auth_id, unknown_page(self.server_url))

    async def session(self, auth_id: str) -> Response:
        return await self._landing(auth_id, ssh.unknown_page())

    async def apple(self) -> Response:
        return answer_page(apple_page(self.server_url))

    async def apple_profile(self, platform: str) -> Response:
        body = apple_profile(platform, self.server_url)
        if body is None:
            return answer_page(unknown_page(self.server_url), 404)
        name = f'attachment; filename="smartscale-{platform}.mobileconfig"'
        return Response(body, 200, {"Content-Disposition": name}, "application/x-apple-aspen-config")

    async def windows(self) -> Response:
        return answer_page(windows_page(self.server_url))

    async def _landing(self, auth_id: str, unknown: Html) -> Response:
        try:
            found = await _find(self.auth_stub, auth_id)
        except grpc.aio.AioRpcError as error:
            log.warning("pending login cannot be shown", code=error.code().name, auth_id=auth_id)
            return answer_page(unavailable_page(auth_id), 503, {"Retry-After": "5"})
        match found:
            case None:
                return answer_page(unknown, 404)
            case LoginView():
                sections = [way(auth_id) for way in self.ways()]
                return answer_page(login_page(found, self.now(), sections), form=self.form())
            case ssh.SshView():
                sections = [way(auth_id) for way in self.ssh_ways()]
                return answer_page(ssh.ssh_page(found, self.now(), sections), form=self.form())


async def _find(auth_stub: Any, auth_id: str) -> LoginView | ssh.SshView | None:
    if not is_auth_id(auth_id):
        return None
    try:
        answer = await auth_stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=auth_id), timeout=TIMEOUT)
        return view_of(answer.login)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
    try:
        found = await auth_stub.GetSshCheck(pb.GetSshCheckRequest(auth_id=auth_id), timeout=TIMEOUT)
        return ssh_view_of(found.check)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
    return None


def ssh_view_of(check: pb.SshCheck) -> ssh.SshView:
    """Return an SSH session as its page shows it."""
    return ssh.SshView(
        auth_id=check.auth_id,
        source=check.source_name,
        owner=check.user_name,
        destination=check.destination_name,
        local_user=check.local_user,
        created_at=check.created_at.ToDatetime(tzinfo=UTC),
        expires_at=check.expires_at.ToDatetime(tzinfo=UTC),
        decided=check.decided,
    )


def view_of(login: pb.PendingLogin) -> LoginView:
    """Return a pending login as its page shows it."""
    return LoginView(
        auth_id=login.auth_id,
        machine_key=MachineKey(login.machine_key),
        hostname=login.hostname,
        os=login.os,
        remote_address=login.remote_address,
        created_at=login.created_at.ToDatetime(tzinfo=UTC),
        expires_at=login.expires_at.ToDatetime(tzinfo=UTC),
        decided=login.decided,
    )


def answer_page(
    body: Html, status: int = 200, headers: dict[str, str] | None = None, *, form: str = "'none'"
) -> Response:
    """Return a response with the headers of every page; `form` is the CSP source list of its forms' targets."""
    policy = HEADERS["Content-Security-Policy"].replace("form-action 'none'", f"form-action {form}")
    return HTMLResponse(str(body), status, {**HEADERS, "Content-Security-Policy": policy, **(headers or {})})
