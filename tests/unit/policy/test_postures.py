"""Assertions of postures: how they may be written, and for which devices they hold."""

from __future__ import annotations

from typing import Any

import pytest

from services.policy.model.sections.postures import parse_assertion
from services.shared.access.compiled import Posture
from services.shared.access.posture import meets

DEVICE = {"node:os": "macos", "node:tsVersion": "1.80.2", "ip:country": "CA", "custom:tier": "5", "custom:ok": "true"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ip:country in ['CA', 'US']", True),
        ("ip:country not  in ['CA']", False),
        ("node:os Not In ['linux']", True),
        ("custom:tier is set", True),
        ("custom:none not set", True),
        ("custom:none NOT IN ['x']", False),
        ("node:tsVersion >= '1.9'", True),
        ("node:tsVersion < '1.80'", False),
        ("custom:tier >= 4.5", True),
        ("custom:ok", True),
        ("custom:ok == false", False),
    ],
)
def test_an_assertion_holds_for_a_device_or_not(text: str, holds: bool) -> None:
    assertion = parse_assertion(text)
    assert assertion is not None
    assert meets(Posture("posture:x", (assertion,)), DEVICE) is holds


@pytest.mark.parametrize(
    "text", ["", "node:os is", "node:os in", "in ['a']x", "node:os == linux", "a == 'b' == 'c'", "a <> 1"]
)
def test_what_is_no_assertion_is_refused(text: str) -> None:
    found: Any = parse_assertion(text)
    assert found is None
