"""When certificates are ordered, by whom, and what stays on disk: modes, one order among replicas, retries."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from services.shared.certificates.renewal import Renewal
from services.shared.certificates.store import AcmeStore, new_key
from tests.fakes.certificates import Issued, issue

HOST = "hs.example"
AUTHORITY = issue("authority", authority=True)


class Authority:
    """Issues certificates that live for 90 days, when it is not broken."""

    def __init__(self, store: AcmeStore) -> None:
        self.store = store
        self.orders = 0
        self.broken = False

    def order(self) -> None:
        self.orders += 1
        if self.broken:
            raise RuntimeError("the authority is out of ink")
        made: Issued = issue(HOST, by=AUTHORITY)
        key = made.key
        self.store.put_pair(key, made.certificate.public_bytes(Encoding.PEM).decode())


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time


def made(folder: Path, clock: Clock) -> tuple[Renewal, Authority, list[bool]]:
    store = AcmeStore(folder / "acme", HOST)
    store.prepare(clock())
    authority, issued = Authority(store), list[bool]()
    return Renewal(store, authority.order, lambda: issued.append(True), clock, lambda: 0.5), authority, issued


async def test_one_is_ordered_at_once_and_again_when_a_third_of_its_life_is_left(tmp_path: Path) -> None:
    clock = Clock()
    renewal, authority, issued = made(tmp_path, clock)
    assert await renewal.round() == timedelta(hours=1)
    assert (authority.orders, issued) == (1, [True])
    for days, orders in ((30, 1), (57, 1), (60, 2)):
        clock.time = datetime.now(UTC) + timedelta(days=days)
        await renewal.round()
        assert authority.orders == orders


async def test_a_failure_is_logged_with_its_reason_and_tried_again_ever_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renewal, authority, issued = made(tmp_path, Clock())
    authority.broken = True
    waits = [await renewal.round() for _ in range(12)]
    assert waits == sorted(waits) and waits[0] < timedelta(minutes=2) and waits[-1] < timedelta(hours=8)
    assert not issued and {record.message for record in caplog.records} >= {"no certificate was issued"}
    authority.broken = False
    await renewal.round()
    assert issued == [True]


async def test_of_two_replicas_one_orders_and_the_other_waits(tmp_path: Path) -> None:
    clock = Clock()
    renewal, authority, _ = made(tmp_path, clock)
    other, idle, _ = made(tmp_path, clock)
    with renewal._store.lock() as ours:
        assert ours
        assert await other.round() == timedelta(seconds=30)
    await renewal.round()
    assert await other.round() == timedelta(hours=1)
    assert (authority.orders, idle.orders) == (1, 0)


def test_all_that_is_kept_is_secret(tmp_path: Path) -> None:
    store = AcmeStore(tmp_path / "acme", HOST)
    store.prepare(datetime.now(UTC))
    store.put_token("abc-DEF_1", "abc.thumb")
    store.put_alpn(b"\x01" * 32, datetime.now(UTC))
    store.put_pair(new_key(), "-----BEGIN CERTIFICATE-----\n")
    with store.lock():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(store.folder.rglob("*"))}
    assert modes == {"ALPN.pem": 0o600, "abc-DEF_1": 0o600, "challenges": 0o700, f"{HOST}.pem": 0o600, "lock": 0o600}
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert store.authorization("abc-DEF_1") == b"abc.thumb"
    store.close_challenges()
    assert store.authorization("abc-DEF_1") is None and not store.alpn.exists()


@pytest.mark.parametrize("token", ["../account.key", "", "a/b", "a" * 129, "ä", ".x"])
def test_no_token_leads_out_of_the_folder(tmp_path: Path, token: str) -> None:
    store = AcmeStore(tmp_path / "acme", HOST)
    store.prepare(datetime.now(UTC))
    assert store.authorization(token) is None
    with pytest.raises(ValueError, match="token"):
        store.put_token(token, "x")
