"""Token buckets and the networks that they are kept for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.rate import Bucket, Buckets, Rate, buckets_of, network_of


def test_a_bucket_empties_and_refills_and_is_never_in_debt() -> None:
    buckets = Buckets(Rate(burst=3, per_second=0.5), 10)
    for _ in range(50):
        buckets.take("a", 0)
    assert buckets.wait("a", 0) == 2
    assert buckets.wait("a", 2) == 0
    assert buckets.wait("b", 0) == 0


def test_memory_is_bounded_and_the_latest_are_kept() -> None:
    buckets = Buckets(Rate(burst=1, per_second=0.001), 3)
    for number in range(100):
        buckets.take(str(number), 0)
    assert len(buckets) == 3
    assert buckets.wait("99", 0) and not buckets.wait("0", 0)


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets = Buckets(Rate(burst=2, per_second=1), 1000)
    for number in range(100):
        buckets.take(number, 0)
    for _ in range(60):
        buckets.take("busy", 100)
    assert len(buckets) == 1


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets(Rate(burst=1, per_second=1), 3)
    buckets.take("a", 10)
    assert buckets.wait("a", 5) == 1


def test_a_limit_of_nothing_takes_calls_and_gives_none_free() -> None:
    buckets = Buckets(Rate(burst=0, per_second=0.5), 3)
    assert buckets.wait("a", 0) == 2
    buckets.take("a", 0)
    assert buckets.wait("a", 1000) == 2


def test_a_single_bucket_never_grows_beyond_its_burst() -> None:
    bucket = Bucket(Rate(burst=3, per_second=1), 0)
    assert [bucket.spend(1000) for _ in range(5)] == [True, True, True, False, False]


@given(
    burst=st.floats(1, 50),
    per_second=st.floats(0.1, 50),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_never_more_calls_than_burst_and_rate_allow(burst: float, per_second: float, pauses: list[float]) -> None:
    rate = Rate(burst, per_second)
    many, one = Buckets(rate), Bucket(rate, 0)
    now, passed, spent = 0.0, 0, 0
    for pause in pauses:
        now += pause
        if many.wait("a", now) == 0:
            many.take("a", now)
            passed += 1
        spent += one.spend(now)
    assert passed == spent
    assert passed <= burst + now * per_second + 1e-6


def test_a_rate_of_zero_is_no_limit() -> None:
    assert buckets_of(0, 10) is None


def test_a_burst_is_that_of_some_seconds_and_at_least_one_call() -> None:
    quick, slow = buckets_of(2, 10), buckets_of(0.01, 10)
    assert quick is not None and slow is not None
    for _ in range(20):
        assert quick.wait("a", 0) == 0
        quick.take("a", 0)
    assert quick.wait("a", 0) == 1
    assert slow.wait("a", 0) == 0
    slow.take("a", 0)
    assert slow.wait("a", 0) == 100


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 500, "x" * 64),
    ],
)
def test_a_network_is_what_one_subscriber_holds(address: str, network: str) -> None:
    assert network_of(address) == network
