"""POST /api/v2/oauth/token: the secret of an OAuth client in exchange for an access token (RFC 6749, section 4.4).

The client is found by its secret alone, which names it: `tailscale up` and others send any text as client id.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, unquote_plus

import grpc
import orjson
from smartscale.auth.v1 import auth_pb2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.admin.context import Arrival
from gateway.admin.refusal import Refused
from gateway.admin.rest.serving import arrival_of, headers_of, read_raw, status_of

PATH = "/oauth/token"
Issue = Callable[[Arrival, auth_pb2.IssueAccessTokenRequest], Awaitable[auth_pb2.IssueAccessTokenResponse]]
_MAX_FIELDS = 32
_GRANT_TYPES = ("", "client_credentials")
_ERRORS = {
    grpc.StatusCode.UNAUTHENTICATED: "invalid_client",
    grpc.StatusCode.INVALID_ARGUMENT: "invalid_scope",
}


def endpoint(issue: Issue, wire: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the coroutine that answers requests for tokens."""

    async def answer(request: Request) -> Response:
        try:
            return await _answer(request, issue, wire)
        except Refused as refusal:
            error = _ERRORS.get(refusal.code, "temporarily_unavailable")
            return _refused(status_of(refusal), error, str(refusal), headers_of(refusal))
        except ClientDisconnect:
            return Response(status_code=499)

    return answer


async def _answer(request: Request, issue: Issue, wire: str) -> Response:
    form = _form(await read_raw(request))
    if form is None:
        return _refused(400, "invalid_request", "the body is no form (application/x-www-form-urlencoded)")
    if form.get("grant_type", "") not in _GRANT_TYPES:
        return _refused(400, "unsupported_grant_type", "grant_type: this server knows client_credentials alone")
    secret = _basic(request.headers.get("authorization", "")) or form.get("client_secret", "")
    if not secret:
        return _refused(401, "invalid_client", "no client secret: send it as password of HTTP Basic, or client_secret")
    wanted = auth_pb2.IssueAccessTokenRequest(
        secret=secret, scopes=form.get("scope", "").split(), tags=form.get("tags", "").split()
    )
    token = await issue(arrival_of(request, wire), wanted)
    body = {
        "access_token": token.token,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "scope": " ".join(token.scopes),
    }
    return Response(orjson.dumps(body), 200, {"Cache-Control": "no-store"}, "application/json")


def _form(raw: bytes) -> Mapping[str, str] | None:
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return None


def _basic(header: str) -> str:
    """Return the password of HTTP Basic, which OAuth libraries encode as in a form; empty: there is none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return unquote_plus(base64.b64decode(value, validate=True).decode().partition(":")[2])
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _refused(status: int, error: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": error, "error_description": text, "message": text}
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")
