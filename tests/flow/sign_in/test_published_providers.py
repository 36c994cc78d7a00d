"""What well-known providers send, whole: each signs in, with a name, an address and groups that policies can use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from services.shared.config.login import OidcClaimsConfig
from tests.fakes.sign_in import CONFIRMING, Lab


class Known(NamedTuple):
    """The claims of an account at a provider, and what becomes of them."""

    claims: dict[str, Any]
    name: str
    """The best name for a new user."""
    email: str
    groups: tuple[str, ...] = ()
    discovery: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})
    left_out: int = 0
    """How many notices say that something was left out."""


ADA = {"sub": "s1", "email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}
PROVIDERS: dict[str, Known] = {
    "Authentik": Known(
        {**ADA, "preferred_username": "ada", "nickname": "ada", "given_name": "Ada", "groups": ["dev", "Admins"],
         "acr": "goauthentik.io/providers/oauth2/default", "amr": ["pwd"], "sid": "x", "uid": "y"},
        "ada", "ada@example.com", ("Admins", "dev"),
    ),
    "Authentik that leaves addresses unverified": Known(
        {**ADA, "email_verified": False, "preferred_username": "ada", "groups": ["dev"]},
        "ada", "", ("dev",), left_out=1,
    ),
    "Authelia": Known(
        {**ADA, "preferred_username": "ada", "alt_emails": ["a@example.org"], "groups": ["admins", "dev"], "rat": 1},
        "ada", "ada@example.com", ("admins", "dev"),
        {"token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "client_secret_jwt"]},
    ),
    "Keycloak": Known(
        {**ADA, "preferred_username": "ada", "groups": ["/dev", "/org/ops"],
         "realm_access": {"roles": ["offline_access"]},
         "resource_access": {"account": {"roles": ["manage-account"]}}, "typ": "ID", "session_state": "x", "acr": "1"},
        "ada", "ada@example.com", ("/dev", "/org/ops"),
    ),
    "Google": Known(
        {"sub": "1089", "email": "ada@corp.example", "email_verified": True, "hd": "corp.example", "name": "Ada",
         "picture": "https://lh3.googleusercontent.com/a/x=s96-c", "given_name": "Ada", "at_hash": None},
        "ada@corp.example", "ada@corp.example",
    ),
    "Entra ID": Known(
        {"sub": "s1", "oid": "00000000-0000", "tid": "t", "ver": "2.0", "preferred_username": "max@example.com",
         "email": "max@example.com", "name": "Max Muster", "groups": ["b3f1c2d4-0000-1111-2222-333344445555"]},
        "max", "", ("b3f1c2d4-0000-1111-2222-333344445555",), left_out=1,
    ),
    "Entra ID of many groups": Known(
        {"sub": "s1", "preferred_username": "max@example.com", "email": "max@example.com", "xms_edov": True,
         "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example/x"}}},
        "max@example.com", "max@example.com", left_out=1,
    ),
    "Entra ID of guests": Known(
        {"sub": "s1", "preferred_username": "ada_example.com#EXT#@corp.onmicrosoft.com", "name": "Ada Lovelace"},
        "ada_example.com#EXT#", "",
    ),
    "Kanidm": Known(
        {**ADA, "preferred_username": "ada@idm.example.com", "groups": ["dev@idm.example.com", "00000000-0000-0000"],
         "scopes": ["openid"], "auth_time": None},
        "ada", "ada@example.com", ("00000000-0000-0000", "dev@idm.example.com"),
        {"code_challenge_methods_supported": ["S256"]},
    ),
    "Pocket ID": Known(
        {**ADA, "preferred_username": "ada", "given_name": "Ada", "family_name": "Lovelace", "groups": ["dev"],
         "picture": "https://id.example.com/api/users/1/profile-picture.png", "type": "id-token"},
        "ada", "ada@example.com", ("dev",),
    ),
    "Zitadel": Known(
        {**ADA, "preferred_username": "ada@zitadel.example.com", "locale": "en", "updated_at": 1,
         "urn:zitadel:iam:org:project:roles": {"dev": {"2389": "zitadel.example.com"}, "ops": {"2389": "z"}}},
        "ada", "ada@example.com", ("dev", "ops"),
        settings={"claims": OidcClaimsConfig(groups="urn:zitadel:iam:org:project:roles")},
    ),
    "Dex": Known(
        {"sub": "CgNhZGESBWxvY2Fs", "email": "ada@example.com", "email_verified": True, "groups": ["dev"],
         "name": "ada", "federated_claims": {"connector_id": "ldap", "user_id": "ada"}},
        "ada@example.com", "ada@example.com", ("dev",),
    ),
    "Logto": Known(
        {**ADA, "username": "ada", "picture": None, "roles": ["dev"], "organizations": ["o1"], "created_at": 1},
        "ada", "ada@example.com", ("dev",), settings={"claims": OidcClaimsConfig(username="username", groups="roles")},
    ),
    "Casdoor": Known(
        {**ADA, "preferred_username": "ada", "displayName": "Ada", "avatar": "https://c.example/a.png", "owner": "org",
         "groups": ["org/dev"], "roles": [{"owner": "org", "name": "admin", "users": None}], "permissions": [],
         "tokenType": "access-token", "isAdmin": False, "properties": {}, "address": []},
        "ada", "ada@example.com", ("org/dev",),
    ),
    "Auth0": Known(
        {**ADA, "nickname": "ada", "picture": "https://s.gravatar.com/avatar/x", "https://hs.example/groups": ["dev"]},
        "ada", "ada@example.com", ("dev",),
        settings={"claims": OidcClaimsConfig(username="nickname", groups="https://hs.example/groups")},
    ),
    "Cognito": Known(
        {"sub": "s1", "email": "ada@example.com", "email_verified": "true", "cognito:username": "ada",
         "cognito:groups": ["dev"], "token_use": "id"},
        "ada@example.com", "ada@example.com", ("dev",), settings={"claims": OidcClaimsConfig(groups="cognito:groups")},
    ),
    "GitLab": Known(
        {**ADA, "preferred_username": "ada", "nickname": "ada", "profile": "https://gitlab.example.com/ada",
         "groups": ["org", "org/dev"], "https://gitlab.org/claims/groups/owner": ["org"], "groups_direct": ["org"]},
        "ada", "ada@example.com", ("org", "org/dev"), {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
    ),
    "a directory behind AD FS": Known(
        {"sub": "s1", "upn": "ada@corp.example", "unique_name": "CORP\\ada", "group": "dev"}, "ada", "", ("dev",),
        settings={"claims": OidcClaimsConfig(username="unique_name", groups="group")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVIDERS)
async def test_an_account_of_a_known_provider_signs_in(lab: Lab, name: str) -> None:
    known = PROVIDERS[name]
    lab.provider.person, lab.provider.discovery = dict(known.claims), dict(known.discovery)
    await lab.begin(**known.settings)
    started, shown = await lab.come_back()
    assert shown.state == CONFIRMING, shown.text
    assert len(shown.notices) == known.left_out
    await lab.confirm(started, shown)
    taken = lab.tailnet.registry.sign_ins[-1]
    assert (taken.names[0], taken.email, tuple(taken.groups)) == (known.name, known.email, known.groups)
