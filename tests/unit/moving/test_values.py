"""Values of old databases: each form that a release or a driver gives, and no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.moving.values import MalformedError, flag, integer, key, moment, strings, text
from services.shared.keys import DiscoKey, MachineKey, NodeKey

INSTANT = datetime(2026, 11, 29, 22, 18, 48, 62044, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-29 22:18:48.062044242+00:00", "2026-11-29T22:18:48.062044Z", "2026-11-29 22:18:48.062044",
        "2026-11-30 03:48:48.062044+05:30", "2026-11-30 03:48:48.062044 +0530", b"2026-11-29 22:18:48.062044+00:00",
        "2026-11-29 22:18:48.062044242 +0000 UTC m=+0.01", INSTANT, INSTANT.replace(tzinfo=None),
        INSTANT.astimezone(timezone(timedelta(hours=-8))),
    ],
)  # fmt: skip
def test_one_instant_in_each_form_that_was_stored(written: object) -> None:
    assert moment(written) == INSTANT


@pytest.mark.parametrize(
    "written", [None, "", "0001-01-01 00:00:00+00:00", "0001-01-01 00:00:00 +0000 UTC", datetime(1, 1, 1, tzinfo=UTC)]
)
def test_never_in_each_form(written: object) -> None:
    assert moment(written) is None


@pytest.mark.parametrize("written", ["soon", "2026-13-01 00:00:00", "2026-11-29", 17, b"\xff"])
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(MalformedError):
        moment(written)


def test_fractions_keep_their_place_whatever_their_length() -> None:
    assert moment("2026-01-01 00:00:00.5+00:00") == datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)
    assert moment("2026-01-01 00:00:00.0586+00:00") == datetime(2026, 1, 1, 0, 0, 0, 58600, tzinfo=UTC)


@pytest.mark.parametrize("written", [None, "", "[]", "null", b"[]", b"null", " [] "])
def test_no_strings_in_each_form(written: object) -> None:
    assert strings(written) == ()


@pytest.mark.parametrize("written", ['["a","b"]', b'["a","b"]', bytearray(b'["a", "b"]')])
def test_strings_in_a_text_or_a_blob(written: object) -> None:
    assert strings(written) == ("a", "b")


@pytest.mark.parametrize("written", ["[", "{}", "[1]", "a,b", '"a"', b"\xff\xfe"])
def test_what_is_no_list_is_refused(written: object) -> None:
    with pytest.raises(MalformedError):
        strings(written)


@pytest.mark.parametrize("kind", [MachineKey, NodeKey, DiscoKey])
def test_keys_with_and_without_their_prefix(kind: type[MachineKey]) -> None:
    digits = "ab" * 32
    assert key(kind, digits) == key(kind, kind.prefix + digits) == kind(bytes.fromhex(digits))
    assert key(kind, None).is_zero and key(kind, "").is_zero


@pytest.mark.parametrize("written", ["ab", "nodekey:" + "ab" * 32, "mkey:", "zz" * 32])
def test_another_key_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(MalformedError) as refused:
        key(MachineKey, written)
    assert written not in str(refused.value)


def test_flags_and_numbers_of_both_databases() -> None:
    assert [flag(value) for value in (None, 0, 1, False, True, "0", "true", "t")] == [
        False, False, True, False, True, False, True, True,
    ]  # fmt: skip
    assert (integer(None), integer("7"), integer(7)) == (0, 7, 7)
    with pytest.raises(MalformedError):
        integer("seven")


@given(st.one_of(st.none(), st.binary(), st.text(), st.integers(), st.floats(), st.datetimes()))
def test_no_value_does_more_than_be_refused(value: object) -> None:
    for read in (moment, strings, text, flag, integer, lambda given: key(NodeKey, given)):
        try:
            read(value)
        except MalformedError as error:
            assert "\n" not in str(error)
