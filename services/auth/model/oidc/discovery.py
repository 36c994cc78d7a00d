"""A provider's metadata: where it is fetched, what of it is used, and which issuer the tokens must have.

SmartLink's pages disagree about the issuer, so there are three cases:

    configured issuer          issuer in document  issuer in tokens
    -----------------------    ---------------    ----------------------------------------------------------
    https://H/api/oidc/APP     the same           the same
    https://H/api/oidc/APP     https://H          https://H, and only if every endpoint is https://H/api/oidc/APP/...
    https://H  with app_id     either             as in the two rows above, for the path made of app_id

Any other difference is refused. A trailing slash and a pasted well-known suffix are removed for fetching only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.auth.model.oidc.refusal import RefusalReason, SignInError

WELL_KNOWN = "/.well-known/openid-configuration"
MAX_URL = 2048
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Accepted signature algorithms: never `none`, never one with a shared secret."""

_SMARTLINK_PATH = re.compile(r"/api/oidc/[^/]+\Z")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The checked metadata of a provider."""

    issuer: str
    """The issuer that its tokens must have."""
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    auth_methods: tuple[str, ...] = ()
    """Client authentication methods that it declares; empty: it declares none."""
    algorithms: tuple[str, ...] = ("RS256",)
    """Accepted algorithms that the provider signs with."""
    sends_iss: bool = False
    """Its authorization responses contain `iss` (RFC 9207)."""
    scopes: tuple[str, ...] = ()
    """Scopes that it lists; empty: it lists none."""
    pinned: bool = False
    """The issuer is not the configured one: the second case above."""
    address: str = ""
    """The issuer that it was fetched for."""

    @property
    def identity(self) -> str:
        """The issuer that identities are stored under.

        It is the address if the issuer is only a part of it: other applications of the host are other providers, and
        identities stay the same when the provider changes its issuer to its full address.
        """
        return self.address if self.address.startswith(self.issuer.rstrip("/") + "/") else self.issuer


def is_loopback(host: str) -> bool:
    """Return whether a host name is a loopback name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_secure(url: str) -> bool:
    """Return whether secrets may be sent to a URL: https, or a loopback host."""
    if len(url) > MAX_URL:
        return False
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        return False
    host = parts.hostname or ""
    plain = parts.username is None and not parts.fragment and port_is_one
    return plain and bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def effective_issuer(issuer: str, app_id: str) -> str:
    """Return the issuer that metadata is fetched for."""
    base = issuer.strip().removesuffix("/").removesuffix(WELL_KNOWN).rstrip("/")
    if app_id and urlsplit(base).path == "":
        return f"{base}/api/oidc/{app_id}"
    return base


def issuer_hint(issuer: str) -> str:
    """Return what to check in the configured issuer if no metadata is found below it."""
    if urlsplit(issuer).path.strip("/"):
        return "compare the path in oidc.issuer with the issuer on the provider's page"
    return f'SmartLink\'s issuer has the App ID in its path: oidc.issuer: "{issuer}/api/oidc/[appid]"'


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def read_metadata(configured: str, effective: str, document: object) -> Metadata:
    """Check metadata that were fetched for `effective`; `configured` is the issuer of the configuration.

    Raises:
        SignInError: they belong to another provider, or cannot be used.
    """
    if not isinstance(document, Mapping):
        raise SignInError(RefusalReason.DISCOVERY_NOT_JSON, "the provider's description is not a JSON object")
    issuer = _text(document, "issuer")
    endpoints = {
        name: _text(document, name)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    }
    missing = [name for name, url in endpoints.items() if not url and name != "userinfo_endpoint"]
    if not issuer or missing:
        raise SignInError(
            RefusalReason.DISCOVERY_INCOMPLETE, f"the provider's description lacks {', '.join(missing) or 'issuer'}"
        )
    pinned = _check_issuer(configured, effective, issuer, [url for url in endpoints.values() if url])
    for name, url in endpoints.items():
        if url and not is_secure(url):
            raise SignInError(RefusalReason.ENDPOINT_INSECURE, f"{name} is no https URL")
    types = _texts(document, "response_types_supported")
    if types and not any(set(kind.split()) == {"code"} for kind in types):
        raise SignInError(RefusalReason.DISCOVERY_UNSUITABLE, "the provider does not offer the code flow")
    pkce = _texts(document, "code_challenge_methods_supported")
    if pkce and "S256" not in pkce:
        raise SignInError(RefusalReason.DISCOVERY_UNSUITABLE, "the provider does not offer PKCE with S256")
    offered = _texts(document, "id_token_signing_alg_values_supported") or ("RS256",)
    algorithms = tuple(name for name in ALGORITHMS if name in offered)
    if not algorithms:
        raise SignInError(
            RefusalReason.DISCOVERY_UNSUITABLE, "the provider signs with no algorithm that is accepted here"
        )
    return Metadata(
        issuer=issuer,
        authorization_endpoint=endpoints["authorization_endpoint"],
        token_endpoint=endpoints["token_endpoint"],
        jwks_uri=endpoints["jwks_uri"],
        userinfo_endpoint=endpoints["userinfo_endpoint"],
        auth_methods=_texts(document, "token_endpoint_auth_methods_supported"),
        algorithms=algorithms,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        scopes=_texts(document, "scopes_supported"),
        pinned=pinned,
        address=effective,
    )


def _check_issuer(configured: str, effective: str, stated: str, endpoints: Sequence[str]) -> bool:
    """Check the issuer of the document. Returns whether the second case applies; raises SignInError if none does."""
    if stated in (configured, effective):
        return False
    if configured.rstrip("/") == stated.rstrip("/") and configured.rstrip("/") == effective:
        return False  # only the trailing slash differs; tokens must have the issuer of the document
    path = urlsplit(effective).path
    below = origin_of(effective) + path + "/"
    smartlink = _SMARTLINK_PATH.match(path) is not None and stated.rstrip("/") == origin_of(effective)
    if smartlink and all(url.startswith(below) for url in endpoints):
        return True
    raise SignInError(
        RefusalReason.ISSUER_MISMATCH,
        f"the provider's issuer is {stated[:200]!r}; set oidc.issuer to the issuer on its own page",
    )


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _texts(document: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = document.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
