"""What the person at a device is shown when access ends or will end, and that it is gone with its cause."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.map_streamer.render import NoticeTexts
from services.map_streamer.snapshot import NoticeSettings
from tests.fakes.change_logs import changed, make_node, make_user
from tests.fakes.clock import FakeClock
from tests.fakes.netmap import Json
from tests.fakes.streamer import Lab, streamer_lab

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NEW, OLD = 117, 116


class WallClock(FakeClock):
    """The time of day stands still until it is moved; the seconds that windows are measured in run."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()


@pytest.fixture
async def notified() -> AsyncIterator[Lab]:
    """A replica with a contact, a reminder of 7 days and a list of versions, at a clock that tests move."""
    async with streamer_lab(WallClock(START)) as lab:
        lab.access = replace(lab.access, notices=NoticeSettings(7 * DAY, {"linux": "1.90", "default": "1.84"}))
        lab.render = replace(lab.render, notices=NoticeTexts("https://hs.example.net", "it@example.net"))
        yield lab


async def test_a_suspended_user_is_shown_whom_to_ask_until_the_suspension_is_lifted(notified: Lab) -> None:
    mine, other = make_node(1), make_node(2, user_id=2)
    await notified.registry.put_user(make_user(2))
    await notified.registry.put_node(mine, other)
    await notified.start()
    gateway = notified.attach()
    new, peer = gateway.open(mine, cap_version=NEW), gateway.open(other, cap_version=NEW)
    assert (await gateway.map_of(new)).shown == (await gateway.map_of(peer)).shown == {}
    await notified.registry.put_user(make_user(1, suspended=True))
    await gateway.until(lambda: new.netmap.shown)
    assert new.netmap.shown["suspended"] == {
        "Title": "Access suspended",
        "Text": "The user of this device is suspended, so it has no access. Ask it@example.net.",
        "Severity": "high",
        "ImpactsConnectivity": True,
    }
    again = gateway.open(mine, cap_version=OLD)
    assert (await gateway.map_of(again)).health == [
        "Access suspended: The user of this device is suspended, so it has no access. Ask it@example.net."
    ]
    await notified.registry.put_user(make_user(1, suspended=False))
    await gateway.until(lambda: again.netmap.health == [])
    assert "PopBrowserURL" not in {key for message in new.deltas + again.deltas for key in message}
    assert not any("DisplayMessages" in message or "Health" in message for message in peer.deltas)


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_key_is_reminded_of_then_expired_then_renewed(notified: Lab, version: int) -> None:
    clock = notified.clock
    assert isinstance(clock, WallClock)
    node = make_node(1)
    node.expiry.FromDatetime(START + 8 * DAY)
    await notified.registry.put_node(node, make_node(2))
    tailnet = await notified.start()
    gateway = notified.attach()
    session, peer = gateway.open(node, cap_version=version), gateway.open(make_node(2), cap_version=version)
    await gateway.map_of(session)
    await gateway.map_of(peer)

    def titles() -> list[str]:
        return [one["Title"] for one in session.netmap.shown.values()] + [
            text.partition(":")[0] for text in session.netmap.health
        ]

    assert titles() == []
    clock.advance(DAY + timedelta(seconds=1))
    tailnet.flush()
    await gateway.until(lambda: titles() == ["Key expires soon"])
    assert peer.deltas == []
    assert "2026-03-09 at 12:00 UTC" in str(session.deltas[-1])
    assert "PopBrowserURL" not in session.deltas[-1]
    clock.advance(7 * DAY)
    tailnet.flush()
    await gateway.until(lambda: titles() == ["Key expired"])
    assert session.deltas[-1]["PopBrowserURL"] == "https://hs.example.net"
    assert not any(key in message for message in peer.deltas for key in ("DisplayMessages", "Health", "PopBrowserURL"))
    renewed = changed(node)
    renewed.expiry.FromDatetime(START + 30 * DAY)
    await notified.registry.put_node(renewed)
    await gateway.until(lambda: titles() == [])
    await notified.registry.put_node(changed(renewed, online=True, given_name="other"))
    await gateway.until(lambda: session.deltas[-1].get("Node", {}).get("Name", "").startswith("other"))
    assert not {"DisplayMessages", "Health", "PopBrowserURL"} & session.deltas[-1].keys()


@pytest.mark.parametrize(
    ("system", "version", "oldest"),
    [("linux", "1.89.9", "1.90"), ("linux", "1.90.0-t1", ""), ("windows", "1.82.5", "1.84"), ("windows", "1.84.0", "")],
)
async def test_a_client_older_than_the_operators_list_is_asked_to_update(
    notified: Lab, system: str, version: str, oldest: str
) -> None:
    info = f'{{"OS":"{system}","IPNVersion":"{version}"}}'.encode()
    node = make_node(1, hostinfo=info)
    await notified.registry.put_node(node)
    await notified.start()
    gateway = notified.attach()
    session = gateway.open(node, cap_version=NEW)
    shown: Json = (await gateway.map_of(session)).shown
    assert [one["Text"].partition(" here")[0] for one in shown.values()] == [
        f"This device runs Tailscale {version.partition('-')[0]}, and {oldest} or newer is required" for _ in oldest[:1]
    ]
    await notified.registry.put_node(changed(node, hostinfo=info.replace(version.encode(), b"1.99.0")))
    await gateway.until(lambda: session.deltas and session.netmap.shown == {})


async def test_a_session_that_moves_to_another_replica_shows_what_holds_there(notified: Lab) -> None:
    clock = notified.clock
    assert isinstance(clock, WallClock)
    node = make_node(1)
    node.expiry.FromDatetime(START + 8 * DAY)
    await notified.registry.put_node(node, make_node(2))
    await notified.start()
    other = await notified.start()
    first, second = notified.attach(), notified.attach("gateway-b", replica=1)
    session = first.open(node, cap_version=NEW)
    await first.map_of(session)
    clock.advance(DAY + timedelta(seconds=1))
    other.flush()
    moved = second.open(node, cap_version=NEW, cursor=session.cursor)
    moved.netmap = session.netmap
    await second.until(lambda: moved.netmap.shown)
    assert list(moved.netmap.shown) == ["key-expires"]
