"""The rules of auth without any I/O: key texts, states, the state table, limits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartscale.types.v1 import node_pb2

from services.auth.model import device, login, registration, secret
from services.auth.model.api_key import ApiKey
from services.auth.model.errors import InvalidInputError, NotPermittedError, RefusedError, TooManyError
from services.auth.model.node import FoundNodes, KnownNode
from services.auth.model.preauth_key import CLAIM_LEASE, ClaimStatus, KeyClaim, PreAuthKey
from services.auth.model.secret import KeyKind
from services.auth.model.tag import read_tags
from services.shared.ids import UserId
from services.shared.keys import MachineKey, NodeKey

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINE, THEIRS = MachineKey(b"m" * 32), MachineKey(b"t" * 32)
KEY, OLD = NodeKey(b"k" * 32), NodeKey(b"o" * 32)


def asking(**more: object) -> registration.RegistrationRequest:
    asked = registration.RegistrationRequest(
        machine_key=MINE,
        node_key=KEY,
        old_node_key=NodeKey.zero(),
        version=113,
        unverified_auth_key="",
        expiry=None,
        hostinfo=b"{}",
        device=device.DeviceDescription(),
        ephemeral=False,
        remote_address="",
    )
    return replace(asked, **more)  # type: ignore[arg-type]


def known(**more: object) -> KnownNode:
    members: dict[str, object] = {"id": 1, "machine_key": MINE.raw, "node_key": KEY.raw, "user_id": 1, **more}
    return KnownNode(node_pb2.Node(**members))  # type: ignore[arg-type]


class TestSecret:
    @given(st.binary(min_size=48, max_size=48))
    def test_a_minted_key_is_read_and_matches_its_digest_only(self, seed: bytes) -> None:
        for kind in KeyKind:
            made = secret.mint(kind, seed)
            text = secret.read(kind, made.text)
            assert text is not None and text.prefix == made.prefix and not text.old_form
            assert text.matches(made.digest)
            assert not text.matches(None)
            assert not text.matches(secret.digest_of(""))

    def test_the_digest_is_of_the_secret_alone_and_names_its_algorithm(self) -> None:
        made = secret.mint(KeyKind.API, bytes(48))
        body = made.text.rsplit("-", 1)[1]
        assert made.digest == "sha256:" + hashlib.sha256(body.encode()).hexdigest()

    def test_neither_repr_nor_str_shows_a_secret(self) -> None:
        made = secret.mint(KeyKind.PRE_AUTH, bytes(range(48)))
        text = secret.read(KeyKind.PRE_AUTH, made.text)
        body = made.text.rsplit("-", 1)[1]
        asked = asking(unverified_auth_key=made.text)
        assert all(body not in shown for shown in (repr(made), repr(text), str(text), repr(asked)))

    @given(st.text(max_size=200))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        for kind in KeyKind:
            for whole in (text, kind.value + text):
                found = secret.read(kind, whole)
                assert found is None or found.prefix in whole

    def test_old_api_keys_are_read_and_old_pre_auth_keys_are_not(self) -> None:
        old = "abcdefg." + "s" * 43
        found = secret.read(KeyKind.API, old)
        assert found is not None and found.old_form and found.prefix == "abcdefg"
        assert secret.read(KeyKind.PRE_AUTH, old) is None

    def test_a_prefix_and_secret_may_hold_dashes(self) -> None:
        found = secret.read(KeyKind.PRE_AUTH, "hskey-auth-" + "a-b-c-d-e-f-" + "-" + "-_" * 32)
        assert found is not None and found.prefix == "a-b-c-d-e-f-"


class TestPreAuthKey:
    key = PreAuthKey(1, "p", UserId(1), False, False, (), NOW, NOW + timedelta(hours=1))

    def test_it_ends_on_the_second(self) -> None:
        assert self.key.refusal(NOW + timedelta(minutes=59)) is None
        assert self.key.refusal(NOW + timedelta(hours=1)) == "auth key expired"
        assert replace(self.key, expiration=None).refusal(NOW + timedelta(days=9999)) is None

    def test_only_single_use_keys_are_used_up(self) -> None:
        assert replace(self.key, used=True).refusal(NOW) == "auth key was used already"
        assert replace(self.key, used=True, reusable=True).refusal(NOW) is None

    def test_a_claim_stands_until_its_lease_is_over(self) -> None:
        held = replace(self.key, claim=KeyClaim(THEIRS, KEY, NOW))
        assert self.key.standing(MINE, NOW) is ClaimStatus.OPEN
        assert held.standing(THEIRS, NOW) is ClaimStatus.OPEN
        assert held.standing(MINE, NOW + CLAIM_LEASE - timedelta(seconds=1)) is ClaimStatus.HELD
        assert held.standing(MINE, NOW + CLAIM_LEASE) is ClaimStatus.STALE

    def test_an_api_key_is_touched_once_a_minute(self) -> None:
        key = ApiKey(1, "p", NOW)
        assert key.wants_touch(NOW)
        assert not replace(key, last_seen=NOW).wants_touch(NOW + timedelta(seconds=59))


class TestDecision:
    @pytest.mark.parametrize(
        ("asked", "node", "decision"),
        [
            ({}, None, registration.LoginRequired),
            ({"unverified_auth_key": "k"}, None, registration.RedeemAuthKey),
            ({}, known(), registration.AlreadyRegistered),
            ({"unverified_auth_key": "k"}, known(), registration.AlreadyRegistered),
            ({}, known(expired=True), registration.NewNodeKeyRequired),
            ({}, known(expiry=NOW), registration.NewNodeKeyRequired),
            ({"unverified_auth_key": "k"}, known(expired=True), registration.RedeemAuthKey),
            ({"expiry": NOW}, None, registration.LogOutNode),
            ({"expiry": NOW, "unverified_auth_key": "k"}, known(), registration.LogOutNode),
            ({"expiry": NOW, "unverified_auth_key": "k"}, known(expired=True), registration.LogOutNode),
            ({"expiry": NOW + timedelta(1)}, known(), registration.ReduceExpiry),
            ({"expiry": NOW + timedelta(1)}, known(expiry=NOW + timedelta(2)), registration.ReduceExpiry),
            ({"expiry": NOW + timedelta(2)}, known(expiry=NOW + timedelta(2)), registration.AlreadyRegistered),
            ({"expiry": NOW + timedelta(3)}, known(expiry=NOW + timedelta(2)), registration.ExtensionRefused),
            ({"expiry": NOW + timedelta(3)}, known(tags=("tag:a",)), registration.AlreadyRegistered),
            ({"expiry": NOW + timedelta(3)}, None, registration.LoginRequired),
        ],
    )
    def test_the_state_table(self, asked: dict[str, object], node: KnownNode | None, decision: type) -> None:
        assert isinstance(registration.decide(asking(**asked), FoundNodes(by_node_key=node), NOW), decision)

    @pytest.mark.statement(38)
    @pytest.mark.parametrize("asked", [{}, {"expiry": NOW}, {"unverified_auth_key": "k"}])
    def test_another_machines_key_is_refused_whatever_is_asked(self, asked: dict[str, object]) -> None:
        with pytest.raises(NotPermittedError):
            registration.decide(asking(**asked), FoundNodes(by_node_key=known(machine_key=THEIRS.raw)), NOW)

    def test_bad_tags_are_refused_but_do_not_prevent_a_logout(self) -> None:
        bad = device.DeviceDescription(tag_problem="no")
        with pytest.raises(RefusedError, match="no"):
            registration.decide(asking(device=bad), FoundNodes(by_node_key=known()), NOW)
        logout = asking(device=bad, expiry=NOW)
        assert registration.decide(logout, FoundNodes(), NOW) == registration.LogOutNode(None)

    def test_a_first_wish_only_shortens(self) -> None:
        day, none = timedelta(days=1), timedelta(0)
        assert registration.first_expiry(None, day, NOW) is None
        assert registration.first_expiry(NOW, day, NOW) is None
        assert registration.first_expiry(NOW + 2 * day, day, NOW) is None
        assert registration.first_expiry(NOW + day / 2, day, NOW) == NOW + day / 2
        assert registration.first_expiry(NOW + 2 * day, none, NOW) == NOW + 2 * day


class TestFollowup:
    auth_id = login.new_auth_id(bytes(range(12)))

    @pytest.mark.parametrize("form", ["https://c/register/{}", "http://c:1/x/register/{}/", "{}", "/register/{}?a#b"])
    def test_the_id_is_found_at_the_end_of_the_path(self, form: str) -> None:
        assert login.read_followup(form.format(self.auth_id)) == self.auth_id

    @pytest.mark.parametrize("form", ["https://c/?x={}", "https://c/#{}", "{}x", "x{}", "{}\n", "/{}/more"])
    def test_and_nowhere_else(self, form: str) -> None:
        assert login.read_followup(form.format(self.auth_id)) is None

    @given(st.text(max_size=300))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        found = login.read_followup(text)
        assert found is None or found in text


class TestDevice:
    @given(st.binary(max_size=400))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        try:
            found = device.read_device(data)
        except InvalidInputError:
            return
        assert len(found.hostname) <= device.MAX_SHOWN

    @given(st.text(max_size=600))
    def test_what_is_shown_is_one_clean_line(self, text: str) -> None:
        shown = device.shown(text)
        assert len(shown) <= device.MAX_SHOWN and shown.isprintable()

    def test_a_login_shows_name_and_system_and_checks_tags(self) -> None:
        found = device.read_device(b'{"Hostname":"a","OS":"b","OSVersion":"7","RequestTags":["tag:b","tag:a"]}')
        assert found == device.DeviceDescription("a", "b 7", ("tag:a", "tag:b"))

    @pytest.mark.parametrize("text", [b"", b"{}", b'{"Unknown":null}'])
    def test_nothing_is_fine(self, text: bytes) -> None:
        assert device.read_device(text) == device.DeviceDescription()

    def test_tags_are_few_and_short(self) -> None:
        with pytest.raises(InvalidInputError):
            read_tags(f"tag:a{n}" for n in range(65))
        with pytest.raises(InvalidInputError):
            read_tags(["tag:" + "a" * 125])


class TestLimits:
    @pytest.mark.statement(61)
    def test_clients_are_told_1_to_3600_seconds(self) -> None:
        assert [TooManyError("", seconds).retry_after for seconds in (-5, 0, 7, 99999)] == [1, 1, 7, 3600]
