"""The forms in which providers send claims: what is read, what is left out, and what is said about it."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from services.auth.model.oidc.entry import EntryRules, check_entry, names_for, trusted_email
from services.auth.model.oidc.groups import MAX_GROUPS
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.refusal import SignInError
from services.auth.model.oidc.sent_groups import read_sent_groups
from services.auth.usecases.authorization import SignInSettings

ENTRA = {"email": "max.muster@example.com", "preferred_username": "max.muster@example.com", "name": "Max Muster"}


def described(*documents: dict[str, Any], **settings: Any) -> ProviderIdentity:
    rules = EntryRules(**settings)
    return SignInSettings("client", "https://c.example.com/oidc/callback", ("openid",), entry=rules).describe(
        "https://idp.example.com", "s1", documents
    )


def texts(identity: ProviderIdentity) -> str:
    return "; ".join(f"{notice.text}: {notice.remedy_for('oidc')}" for notice in identity.notices)


@pytest.mark.parametrize(
    ("claims", "email", "names"),
    [
        (ENTRA, "", ("max.muster", "Max Muster")),
        ({**ENTRA, "email_verified": False}, "", ("max.muster", "Max Muster")),
        ({**ENTRA, "email_verified": "false"}, "", ("max.muster", "Max Muster")),
        ({**ENTRA, "email_verified": "True"}, "max.muster@example.com", ("max.muster@example.com", "max.muster")),
        ({**ENTRA, "xms_edov": "1"}, "max.muster@example.com", ("max.muster@example.com", "max.muster")),
        ({**ENTRA, "xms_edov": True, "email_verified": False}, "", ("max.muster", "Max Muster")),
        ({**ENTRA, "xms_edov": 0}, "", ("max.muster", "Max Muster")),
        # Kanidm: the account name is a security principal name, not an address.
        (
            {"email": "ada@example.com", "email_verified": True, "preferred_username": "ada@idm.example.com"},
            "ada@example.com",
            ("ada", "ada@example.com"),
        ),
        ({"preferred_username": "ada@idm.example.com", "name": "Ada"}, "", ("ada", "Ada")),
        ({"preferred_username": "CORP\\ada", "name": "Ada"}, "", ("ada", "Ada")),
        ({"preferred_username": "CORP\\ada@corp.example", "name": "Ada"}, "", ("ada", "Ada")),
        # Google sends no account name, LDAP directories send lists.
        ({"email": "g@example.com", "email_verified": True, "name": "G"}, "g@example.com", ("g@example.com", "g", "G")),
        (
            {"email": ["l@example.com", "m@example.com"], "email_verified": True},
            "l@example.com",
            ("l@example.com", "l"),
        ),
        ({"email": "unverified@example.com", "name": "U"}, "", ("unverified", "U")),
        ({"email": "no address", "preferred_username": "u"}, "", ("u",)),
        ({}, "", ()),
    ],
)
def test_a_user_is_named_by_the_account_and_never_by_an_address_that_is_not_verified(
    claims: dict[str, Any], email: str, names: tuple[str, ...]
) -> None:
    identity, rules = described(claims), EntryRules()
    assert trusted_email(identity, rules) == email
    found = names_for(identity, rules)
    assert found[: len(names)] == names
    assert all("@" not in name or name == email for name in found)
    sent = claims.get("email")
    assert bool(identity.notices) is bool(sent and not email)
    if isinstance(sent, str) and not email and "@" in sent:
        assert "oidc.email_verified_required: false" in texts(identity) and sent not in texts(identity)


@pytest.mark.parametrize(
    ("claim", "names", "dropped"),
    [
        ("dev", ("dev",), 0),
        (["dev", "ops"], ("dev", "ops"), 0),
        (["/dev", "/dev/ops"], ("/dev", "/dev/ops"), 0),
        ('["dev", "ops"]', ("dev", "ops"), 0),
        ("[dev", ("[dev",), 0),
        ([{"id": "1", "name": "dev"}], ("dev",), 0),
        ({"id": "1", "name": "dev"}, ("dev",), 0),
        ([{"value": "9f", "display": "Dev"}], ("Dev",), 0),
        ([{"id": "9f", "path": "/org/dev"}], ("/org/dev",), 0),
        ([{"owner": "org", "name": "dev"}], ("dev",), 0),
        ([{"cn": "dev", "dn": "cn=dev,dc=example"}, {"pk": 7, "slug": "ops"}], ("dev", "ops"), 0),
        ([{"display_name": "Dev"}, {"name": None, "displayName": "Ops"}], ("Dev", "Ops"), 0),
        ([{"id": "1", "displayName": "Dev"}], ("Dev",), 0),
        ([{"value": "dev", "$ref": "x"}], ("dev",), 0),
        ({"dev": {"23": "example.com"}, "ops": {"23": "example.com"}}, ("dev", "ops"), 0),
        ({"dev": True, "ops": False}, ("dev",), 0),
        ([1001, 1002], ("1001", "1002"), 0),
        (["dev", {"id": "1"}, None, True, 1.5, ["nested"]], ("dev",), 5),
        (["dev", "x" * 257], ("dev",), 1),
        (["dev", "dev\u200b", " dev "], ("dev",), 0),
        ([""], (), 0),
        ([], (), 0),
        ({}, (), 0),
    ],
)
def test_groups_are_read_from_every_form_that_holds_names(claim: Any, names: tuple[str, ...], dropped: int) -> None:
    sent = read_sent_groups(claim)
    assert (sent.names, sent.dropped, sent.kind) == (names, dropped, "")
    identity = described({"groups": claim})
    assert identity.groups == names
    assert ("groups were left out" in texts(identity)) is bool(dropped)


@pytest.mark.parametrize(("claim", "kind"), [(True, "a boolean"), (7, "a number"), (1.5, "a number")])
def test_a_claim_that_holds_no_names_ends_only_a_sign_in_that_needs_groups(claim: Any, kind: str) -> None:
    identity = described({"groups": claim})
    assert identity.groups is None and f"the claim is {kind}" in texts(identity)
    check_entry(identity, EntryRules())
    with pytest.raises(SignInError, match=kind):
        check_entry(identity, EntryRules(groups=("dev",)))


def test_too_many_groups_keep_those_that_the_configuration_names() -> None:
    groups = [f"g{number:05}" for number in range(5000)] + ["zz-allowed"]
    random.Random(1).shuffle(groups)
    identity = described({"groups": groups}, groups=("zz-allowed",))
    assert identity.groups is not None and len(identity.groups) == MAX_GROUPS
    assert identity.groups[0] == "g00000" and "zz-allowed" in identity.groups
    assert list(identity.groups) == sorted(identity.groups)
    check_entry(identity, EntryRules(groups=("zz-allowed",)))
    assert "4001 of 5001 groups were left out" in texts(identity)


@pytest.mark.parametrize("picture", ["data:image/png;base64," + "A" * 60_000, "ftp://example.com/me.png", 7])
def test_a_picture_that_is_no_web_address_is_left_out_and_said(picture: Any) -> None:
    identity = described({"picture": picture})
    assert identity.picture == "" and "picture was left out" in texts(identity)
    assert len(texts(identity)) < 500


@pytest.mark.parametrize("claims", [{"hasgroups": True}, {"_claim_names": {"groups": "src1"}}])
def test_groups_that_are_kept_elsewhere_are_said_to_be_left_out(claims: dict[str, Any]) -> None:
    identity = described(claims)
    assert identity.groups is None and "more than the provider puts into a token" in texts(identity)
    with pytest.raises(SignInError) as refused:
        check_entry(identity, EntryRules(groups=("dev",)))
    assert refused.value.reason.value == "groups-elsewhere"


def test_no_claim_of_any_json_kind_makes_reading_fail() -> None:
    rng = random.Random(7)

    def value(depth: int) -> Any:
        kinds: list[Any] = [None, True, False, 0, -1, 2.5, "", "x", "a@b", "[", '["x"]', "\u202e", "9" * 400]
        if depth:
            kinds += [[value(depth - 1) for _ in range(rng.randrange(3))] for _ in range(3)]
            kinds += [{rng.choice(["name", "value", "id", "x"]): value(depth - 1)} for _ in range(3)]
        return rng.choice(kinds)

    claims = ("email", "email_verified", "preferred_username", "name", "groups", "picture", "hasgroups", "_claim_names")
    for _ in range(2000):
        documents = [{claim: value(3) for claim in claims if rng.random() < 0.7} for _ in range(2)]
        identity = described(*documents)
        assert all(isinstance(name, str) and "@" not in name for name in names_for(identity, EntryRules())) or (
            trusted_email(identity, EntryRules())
        )
        assert orjson.dumps([notice.text for notice in identity.notices])
