"""`headscale mockoidc`: an OpenID provider for development, without passwords.

Each sign-in takes the next person of MOCKOIDC_USERS, and a built-in one when the list is used up. The rest is real:
codes are redeemed once, by the client that they were issued to, with PKCE if it was requested, and tokens are signed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from cli.frame.errors import CommandError
from cli.frame.parser import declare as declare_command
from cli.frame.values import duration

_BASE = "/oidc"
_MAX_OPEN = 1024
_MAX_BODY = 1 << 16
_SOMEBODY = {
    "sub": "1234567890", "email": "jane.doe@example.com", "email_verified": True, "preferred_username": "jane.doe",
    "groups": ["engineering", "design"],
}  # fmt: skip
_CLAIMS = {
    "subject": "sub", "emailverified": "email_verified", "preferredusername": "preferred_username",
    "phone": "phone_number",
}  # fmt: skip

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


def declare(nouns: Any) -> None:
    """Add the command."""
    declare_command(
        nouns, "mockoidc", _serve, "Run an OpenID provider for development, without passwords", (),
        "MOCKOIDC_CLIENT_ID=hs MOCKOIDC_CLIENT_SECRET=s MOCKOIDC_ADDR=127.0.0.1 MOCKOIDC_PORT=9998 \\\n"
        "    MOCKOIDC_USERS='[{\"Subject\": \"1\", \"Email\": \"alice@example.com\", \"EmailVerified\": true}]' \\\n"
        "    headscale mockoidc",
    )  # fmt: skip


def _serve(_arguments: argparse.Namespace) -> None:
    import uvicorn

    address, port = _setting("ADDR"), _setting("PORT")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise CommandError(f"MOCKOIDC_PORT: {port!r} is not a port", status=2)
    try:
        ttl = duration(os.environ.get("MOCKOIDC_ACCESS_TTL") or "2m").total_seconds()
    except argparse.ArgumentTypeError as error:
        raise CommandError(f"MOCKOIDC_ACCESS_TTL: {error}", status=2) from None
    provider = MockProvider(
        f"http://{address}:{port}{_BASE}",
        _setting("CLIENT_ID"),
        _setting("CLIENT_SECRET"),
        people(_setting("USERS")),
        ttl,
    )
    sys.stderr.write(f"issuer: {provider.issuer}\nit signs in everybody who can reach it: for development only\n")
    uvicorn.run(provider, host=address, port=int(port), log_level="warning", access_log=False, lifespan="off")


def _setting(name: str) -> str:
    text = os.environ.get(f"MOCKOIDC_{name}", "")
    if not text:
        raise CommandError(f"MOCKOIDC_{name} not defined", "see: headscale mockoidc --help", status=2)
    return text


def people(text: str) -> list[dict[str, Any]]:
    """Read the claims of MOCKOIDC_USERS, a JSON list with Headscale's names or those of claims.

    Raises:
        CommandError: it is not such a list.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"MOCKOIDC_USERS: not JSON: {error}", status=2) from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CommandError("MOCKOIDC_USERS: not a list of objects", status=2)
    claims = [{_CLAIMS.get(name.lower().replace("_", ""), name.lower()): one[name] for name in one} for one in found]
    if not all(isinstance(one.get("sub"), str) and one["sub"] for one in claims):
        raise CommandError("MOCKOIDC_USERS: each needs a Subject", status=2)
    return claims


class MockProvider:
    """The provider, as an ASGI application."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, users: list[dict[str, Any]], access_ttl: float
    ) -> None:
        from joserfc.jwk import RSAKey

        self.issuer = issuer
        self._client = (client_id, client_secret)
        self._queue = deque(users)
        self._ttl = access_ttl
        self._key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8)})
        self._codes: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, tuple[dict[str, Any], float]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more and len(body) <= _MAX_BODY:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        status, extra, answer = self.answer(scope["method"], scope["path"], query, headers, body)
        extra += [(b"content-length", str(len(answer)).encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": answer})

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Return the answer to a request."""
        form = dict(parse_qsl(body.decode("latin-1"))) if len(body) <= _MAX_BODY else {}
        match method, path.removeprefix(_BASE):
            case "GET", "/.well-known/openid-configuration":
                return _json(200, self._discovery())
            case "GET", "/.well-known/jwks.json":
                public = {**self._key.as_dict(private=False), "use": "sig", "alg": "RS256"}
                return _json(200, {"keys": [public]})
            case "GET" | "POST", "/authorize":
                return self._authorize({**query, **form})
            case "POST", "/token":
                return self._token(headers, form)
            case "GET" | "POST", "/userinfo":
                scheme, _, token = headers.get("authorization", "").partition(" ")
                person = self._person(self._tokens, token) if scheme.lower() == "bearer" else None
                return _json(200, person) if person else _json(401, {"error": "invalid_token"})
        return _json(404, {"error": "not_found"})

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "groups", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["plain", "S256"],
        }

    def _authorize(self, query: Mapping[str, str]) -> Answer:
        to = query.get("redirect_uri", "")
        if query.get("client_id") != self._client[0] or not to.startswith(("http://", "https://")):
            return _json(400, {"error": "invalid_request"})
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            return _redirect(to, {"error": "invalid_request", "state": query.get("state", "")})
        person = self._queue.popleft() if self._queue else _SOMEBODY
        code = secrets.token_urlsafe(24)
        _keep(self._codes, code, {"query": dict(query), "person": person, "until": time.time() + 600})
        return _redirect(to, {"code": code, "state": query.get("state", "")})

    def _token(self, headers: Mapping[str, str], form: Mapping[str, str]) -> Answer:
        if not self._known(headers, form):
            return _json(401, {"error": "invalid_client"})
        if form.get("grant_type") == "refresh_token":
            person = self._person(self._tokens, form.get("refresh_token", ""))
            return _json(200, self._tokens_for(person, "")) if person else _json(400, {"error": "invalid_grant"})
        kept = self._codes.pop(form.get("code", ""), None)
        if kept is None or kept["until"] < time.time() or not _proven(kept["query"], form):
            return _json(400, {"error": "invalid_grant"})
        return _json(200, self._tokens_for(kept["person"], kept["query"].get("nonce", "")))

    def _known(self, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
            except ValueError:
                return False
            given = (unquote_plus(name), unquote_plus(secret))
        return all(
            hmac.compare_digest(one.encode(), other.encode()) for one, other in zip(given, self._client, strict=True)
        )

    def _person(self, tokens: Mapping[str, tuple[dict[str, Any], float]], token: str) -> dict[str, Any] | None:
        person, until = tokens.get(token, ({}, 0.0))
        return person if until > time.time() else None

    def _tokens_for(self, person: dict[str, Any], nonce: str) -> dict[str, Any]:
        from joserfc import jwt

        now, access, refresh = int(time.time()), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        _keep(self._tokens, access, (person, now + self._ttl))
        _keep(self._tokens, refresh, (person, now + 3600.0))
        digest = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            **person, "iss": self.issuer, "aud": self._client[0], "iat": now, "exp": now + int(self._ttl),
            "at_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), **({"nonce": nonce} if nonce else {}),
        }  # fmt: skip
        return {
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": int(self._ttl),
            "id_token": jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key),
        }  # fmt: skip


def _proven(query: Mapping[str, str], form: Mapping[str, str]) -> bool:
    """Return whether the client that redeems a code also started the sign-in."""
    if query["redirect_uri"] != form.get("redirect_uri"):
        return False
    challenge, verifier = query.get("code_challenge", ""), form.get("code_verifier", "")
    if not challenge:
        return True
    if query.get("code_challenge_method") == "S256":
        verifier = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(challenge.encode(), verifier.encode())


def _keep(store: dict[str, Any], key: str, value: Any) -> None:
    """Insert an entry, and delete the oldest beyond the limit."""
    store[key] = value
    while len(store) > _MAX_OPEN:
        del store[next(iter(store))]


def _json(status: int, document: Mapping[str, Any]) -> Answer:
    return status, [(b"content-type", b"application/json")], json.dumps(document).encode()


def _redirect(to: str, query: Mapping[str, str]) -> Answer:
    place = f"{to}{'&' if '?' in to else '?'}{urlencode(query)}"
    return 302, [(b"location", place.encode("ascii", "replace"))], b""
