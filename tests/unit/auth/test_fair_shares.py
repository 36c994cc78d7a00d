"""Whose pending entry makes room for a new one."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.model.fair_shares import Path, PendingEntry, Progress, least_advanced, losing_group, network_path
from services.shared.rate import network_of

NETWORKS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda number: network_of(str(IPv4Address(number)))),
    st.integers(0, 2**12).map(lambda number: network_of(str(IPv4Address(0xC0000200 + number)))),
    st.integers(0, 2**16).map(lambda number: network_of(str(IPv6Address((0x20010DB8 << 96) + (number << 64))))),
    st.sampled_from(["", "unix"]),
)


@pytest.mark.parametrize(
    ("network", "path"),
    [
        ("192.0.2.7", ("192.0.0.0/16", "192.0.2.0/24", "192.0.2.7")),
        ("2001:db8:1:2::/64", ("2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64")),
        ("", ("", "", "")),
        ("unix", ("unix", "unix", "unix")),
    ],
)
def test_a_network_lies_in_its_larger_ones(network: str, path: Path) -> None:
    assert network_path(network) == path


def held(*networks: str) -> dict[Path, int]:
    return dict(Counter(map(network_path, networks)))


@pytest.mark.parametrize(
    ("networks", "newcomer", "loser"),
    [
        (["192.0.2.1"] * 4 + ["198.51.100.1"], "203.0.113.1", "192.0.2.1"),
        (["192.0.2.1"] * 4 + ["198.51.100.1"], "192.0.2.1", "192.0.2.1"),
        # Many addresses of one subnet are one group.
        ([f"192.0.2.{n}" for n in range(9)] + ["198.51.100.1"] * 4, "203.0.113.1", "192.0.2.0"),
        # A host with a whole /48 or /32 moves within its own.
        ([f"2001:db8:1:{n:x}::/64" for n in range(9)] + ["198.51.100.1"] * 4, "203.0.113.1", "2001:db8:1:0::/64"),
        ([f"2001:db8:{n:x}:1::/64" for n in range(9)] + ["198.51.100.1"] * 4, "203.0.113.1", "2001:db8:1:1::/64"),
        ([f"2001:db8:{n:x}:1::/64" for n in range(9)] + ["198.51.100.1"] * 4, "2001:db8:ffff::/64", None),
        # Whoever holds as little as the newcomer loses nothing to it.
        (["192.0.2.1", "198.51.100.1", "203.0.113.1"], "100.64.0.1", None),
        (["192.0.2.1"] * 2 + ["198.51.100.1"] * 2, "198.51.100.1", "198.51.100.1"),
        # A neighbour in the same subnet loses nothing while another address there holds more.
        (["192.0.2.1"] * 4 + ["192.0.2.2"], "192.0.2.3", "192.0.2.1"),
    ],
)
def test_a_full_table_takes_from_who_holds_the_most(networks: list[str], newcomer: str, loser: str | None) -> None:
    found = losing_group(held(*networks), network_path(newcomer))
    assert (found[-1] if found else None) == loser


@given(networks=st.lists(NETWORKS, min_size=1, max_size=60), newcomer=NETWORKS)
def test_nobody_loses_to_a_network_that_holds_as_much(networks: list[str], newcomer: str) -> None:
    groups, own = held(*networks), network_path(newcomer)
    loser = losing_group(groups, own)
    assert loser is None or groups[loser] > 0
    if loser is None or loser == own:
        return
    depth = next(at for at in range(3) if loser[at] != own[at])
    sizes = Counter[str]()
    for path, number in groups.items():
        if path[:depth] == own[:depth]:
            sizes[path[depth]] += number
    assert sizes[loser[depth]] == max(sizes.values()) and sizes[loser[depth]] > sizes[own[depth]]


def test_what_got_least_far_goes_and_of_equals_the_middle_one() -> None:
    waiting = [PendingEntry(str(number), Progress.WAITING) for number in range(5)]
    assert least_advanced(waiting) == "2"
    assert (
        least_advanced([*waiting, PendingEntry("late", Progress.DECIDED), PendingEntry("later", Progress.DECIDED)])
        == "late"
    )
    started = [PendingEntry(str(number), Progress.SIGN_IN_STARTED) for number in range(4)]
    assert least_advanced([*started, PendingEntry("w", Progress.WAITING)]) == "w"
    assert least_advanced([PendingEntry("v", Progress.SIGN_IN_VERIFIED), *started]) == "2"


@given(share=st.integers(4, 40), flood=st.integers(1, 400), before=st.integers(0, 1))
def test_a_flood_from_one_address_spares_what_was_there_and_gives_newcomers_time(
    share: int, flood: int, before: int
) -> None:
    entries = [PendingEntry(f"f{number}", Progress.WAITING) for number in range(share)]
    victim = PendingEntry("victim", Progress.WAITING)
    entries.insert(0 if before else share, victim)
    entries = entries[:share] if before else entries[1:]
    survived = 0
    for number in range(flood):
        gone = least_advanced(entries)
        entries = [entry for entry in entries if entry.key != gone] + [PendingEntry(f"n{number}", Progress.WAITING)]
        if victim not in entries:
            break
        survived += 1
    assert survived == flood if before else survived >= min(flood, (share - 1) // 2)
