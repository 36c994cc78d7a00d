"""An OpenID provider on loopback that keeps the rules until a test twists one of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import orjson
import uvicorn
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from services.shared.runtime.clock import Clock

APP = "/api/oidc/app-7f3c"
CLIENT_ID = "client:1"
SECRET = "s3cret/+%&="

_KEY = RSAKey.generate_key(2048, {"kid": "k1"})

Answer = tuple[int, dict[str, str], bytes]
Claims = dict[str, Any]


def b64(data: bytes) -> str:
    """Unpadded base64 of URLs."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Provider:
    """Its knobs: whatever is set here is what it does wrong."""

    clock: Clock
    origin: str
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [_KEY])
    published: list[dict[str, Any]] | None = None
    """The key set, where it is not that of `keys`."""
    issuer: str = ""
    person: Claims = field(default_factory=lambda: {"sub": "s1"})
    discovery: Claims = field(default_factory=dict)
    header: Claims = field(default_factory=dict)
    claims: Claims = field(default_factory=dict)
    """Over the ID token's; None as a value leaves the claim out."""
    info: Claims | None = field(default_factory=dict)
    """Over the user info's; None: it answers 500."""
    sign: Callable[[Claims, Claims], str] | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    """By the last part of the path, instead of the right answer."""
    token: Claims = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    client_key: ECKey | None = None
    """Takes statements that this key signed in place of the secret."""
    before_signing: Callable[[], None] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    """Every token."""
    pending: int = 2
    """How often it is asked for the token of a device code before there is one."""
    redirects: set[str] | None = None
    """Where browsers may be sent back to; None: anywhere."""
    pkce_required: bool = False
    scopes: set[str] | None = None
    """Those that may be asked for; None: any."""
    shown_as: str = ""
    """`Basic` or `form`: takes the secret only so."""

    def __post_init__(self) -> None:
        self.issuer = self.issuer or self.origin + APP

    def authorize(self, url: str) -> dict[str, str]:
        """What the browser brings back after the person signed in."""
        query = dict(parse_qsl(urlsplit(url).query))
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        code = secrets.token_hex(8)
        self.codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    def describe(self) -> Claims:
        """The discovery document."""
        base = self.origin + APP
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "userinfo_endpoint": f"{base}/userinfo",
            "jwks_uri": f"{base}/jwks",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": True,
            **self.discovery,
        }
        return {name: value for name, value in document.items() if value is not None}

    def id_token(self, query: Mapping[str, str], access_token: str) -> str:
        """A token for the person, with the twists."""
        now = int(self.clock.now().timestamp())
        claims = {
            **{name: value for name, value in self.person.items() if name in ("sub",)},
            "iss": self.issuer,
            "aud": query["client_id"],
            "iat": now,
            "exp": now + 600,
            "nonce": query.get("nonce"),
            "at_hash": b64(hashlib.sha256(access_token.encode()).digest()[:16]),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.before_signing is not None:
            self.before_signing()
        key = self.keys[0]
        header = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": key.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        if self.sign is not None:
            return self.sign(header, claims)
        registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        registry.max_header_length = registry.max_payload_length = 1 << 20
        return jws.serialize_compact(header, orjson.dumps(claims), key, registry=registry)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes, query: str = "") -> Answer:
        """One request."""
        self.requests.append(path)
        name = path.rpartition("/")[2]
        if name in self.answers:
            return self.answers[name]
        match name:
            case "openid-configuration" if path.startswith(APP):
                return _json(200, self.describe())
            case "device":
                begun = {"device_code": "d1", "user_code": "ABCD-EFGH", "interval": 0.01, "expires_in": 60}
                return _json(200, {**begun, "verification_uri": f"{self.origin}/enter"})
            case "authorize":
                return self._meet_browser(dict(parse_qsl(query)))
            case "jwks":
                keys = self.published
                if keys is None:
                    keys = [{**key.as_dict(private=False), "kid": key.kid, "use": "sig"} for key in self.keys]
                return _json(200, {"keys": keys})
            case "token":
                return self._redeem(headers, body)
            case "userinfo" if not headers.get("authorization", "").startswith("Bearer "):
                return _json(401, {"error": "invalid_token"})
            case "userinfo" if self.info is not None:
                return _json(200, {**self.person, **self.info})
            case "userinfo":
                return _json(500, {})
        return 404, {"content-type": "text/html"}, b"<html>no such page</html>"

    def _meet_browser(self, query: Mapping[str, str]) -> Answer:
        """Who is not signed in and asks for it over HTTP."""
        back = query.get("redirect_uri", "")
        if query.get("client_id") != CLIENT_ID or (self.redirects is not None and back not in self.redirects):
            return 400, {"content-type": "text/html"}, b"<html>unknown application</html>"
        error = ""
        if self.pkce_required and "code_challenge" not in query:
            error = "invalid_request"
        elif self.scopes is not None and not set(query.get("scope", "").split()) <= self.scopes:
            error = "invalid_scope"
        elif query.get("prompt") == "none":
            error = "login_required"
        if error:
            return 302, {"location": f"{back}?" + urlencode({"error": error, "state": query.get("state", "")})}, b""
        return 200, {"content-type": "text/html"}, b"<html>who are you?</html>"

    def _redeem(self, headers: Mapping[str, str], body: bytes) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        client, secret = form.get("client_id"), form.get("client_secret")
        if headers.get("authorization", "").startswith("Basic "):
            pair = base64.b64decode(headers["authorization"][6:]).decode().split(":")
            client, secret = unquote_plus(pair[0]), unquote_plus(pair[1])
        if self.shown_as and (self.shown_as == "Basic") != ("authorization" in headers):
            return _json(401, {"error": "invalid_client"})
        if self.client_key is not None and "client_assertion" in form:
            said = jwt.decode(form["client_assertion"], self.client_key, algorithms=["ES256"]).claims
            if said["iss"] == said["sub"] == CLIENT_ID and said["aud"] == self.issuer:
                client, secret = CLIENT_ID, SECRET
        if (client, secret) != (CLIENT_ID, SECRET):
            return _json(401, {"error": "invalid_client"})
        if form.get("device_code") == "d1":
            self.pending -= 1
            if self.pending >= 0:
                return _json(400, {"error": "authorization_pending"})
            token = secrets.token_urlsafe(16)
            bearer = {"access_token": token, "token_type": "Bearer"}
            return _json(200, {**bearer, "id_token": self.id_token({"client_id": CLIENT_ID}, token)})
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or query["redirect_uri"] != form.get("redirect_uri"):
            return _json(400, {"error": "invalid_grant"})
        if b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != query["code_challenge"]:
            return _json(400, {"error": "invalid_grant"})
        access_token = secrets.token_urlsafe(16)
        document = {
            "access_token": access_token,
            "token_type": "Bearer",
            "id_token": self.id_token(query, access_token),
            **self.token,
        }
        self.issued += [str(document["access_token"]), str(document["id_token"])]
        return _json(200, {name: value for name, value in document.items() if value is not None})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        status, extra, answer = self.answer(scope["path"], headers, body, scope["query_string"].decode())
        pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})


def _json(status: int, document: Claims) -> Answer:
    return status, {"content-type": "application/json"}, orjson.dumps(document)


@asynccontextmanager
async def provider_on_loopback(clock: Clock) -> AsyncIterator[Provider]:
    """Run one on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    provider = Provider(clock, f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(provider, log_level="error", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110  there is nothing to wait on
                await asyncio.sleep(0.005)
        yield provider
    finally:
        server.should_exit = True
        await task
        listener.close()
