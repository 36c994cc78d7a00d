"""Given names."""

from __future__ import annotations

import pytest

from services.registry.model.errors import InvalidInputError
from services.registry.model.name import check_label, free_label


def label(hostname: str, *taken: str) -> str:
    return free_label(hostname, set(taken).__contains__)


@pytest.mark.statement(138)
@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("Bob's MacBook Pro.local", "bobs-macbook-pro"),
        ("my_host.lan", "my-host"),
        ("端末", "node"),
        ("", "node"),
        ("...", "node"),
        ("a.b@c d", "a-b-c-d"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_hostname_becomes_a_label(hostname: str, expected: str) -> None:
    assert label(hostname) == expected


def test_a_taken_label_gets_the_first_free_number() -> None:
    assert label("host", "host") == "host-1"
    assert label("host", "host", "host-1", "host-3") == "host-2"
    assert label("", "node") == "node-1"


def test_a_number_never_makes_a_label_too_long() -> None:
    long = "y" * 63
    assert label(long, long) == "y" * 61 + "-1"
    taken = [long, *("y" * (63 - len(f"-{number}")) + f"-{number}" for number in range(1, 100))]
    assert label(long, *taken) == "y" * 59 + "-100"
    dashed = "z" * 60 + "-zz"
    assert label(dashed, dashed) == "z" * 60 + "-1"


@pytest.mark.parametrize("name", ["", "-a", "a-", "a.b", "A.B", "a_b", "İ", "K", "a" * 64, "ä", "a b", "a\n"])
def test_an_administrator_gives_only_labels(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_label(name, "example.org")


@pytest.mark.parametrize("name", ["New-Name", "PRINTER", "a1B2", "new-name"])
def test_a_label_in_capitals_is_the_same_label(name: str) -> None:
    assert check_label(name, "example.org") == name.lower()


def test_name_and_domain_together_have_a_limit() -> None:
    domain = ".".join(["d" * 60] * 4)
    assert check_label("a" * 8, domain) == "a" * 8
    with pytest.raises(InvalidInputError):
        check_label("a" * 63, domain)
