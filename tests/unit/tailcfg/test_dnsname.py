"""Names of nodes: the client's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.tailcfg.dnsname import fqdn, is_label, sanitize_hostname, with_suffix


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Bob's MacBook Pro.local", "bobs-macbook-pro"),
        ("my_host.lan", "my-host"),
        ("端末", ""),
        ("", ""),
        ("---", ""),
        ("-a-", "a"),
        ("a" * 80, "a" * 63),
        ("host.lan.localdomain.local", "host"),
        ("host.local.lan", "host-local"),
        ("HOST.LOCAL", "host-local"),
        ("user@example.com", "user-example-com"),
        ("nul\x00in\x1bside", "nulinside"),
        ("x" * (1 << 20), "x" * 63),
    ],
)
def test_a_hostname_becomes_one_label(raw: str, label: str) -> None:
    assert sanitize_hostname(raw) == label


@pytest.mark.statement(138)
@given(st.text())
def test_every_text_becomes_a_valid_label_or_nothing(raw: str) -> None:
    label = sanitize_hostname(raw)
    assert label == "" or is_label(label)


@given(st.text(), st.integers(1, 10**6))
def test_a_number_behind_a_label_keeps_it_a_label(raw: str, number: int) -> None:
    assert is_label(with_suffix(sanitize_hostname(raw) or "node", number))


def test_the_whole_name_ends_in_a_dot() -> None:
    assert fqdn("host", "example.net") == "host.example.net."
    assert fqdn("host", "") == "host."
