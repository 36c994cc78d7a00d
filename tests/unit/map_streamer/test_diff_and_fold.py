"""What a fact changes, and what peers must hear of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.map_streamer.diff import WHOLE, Patch, compare
from services.map_streamer.diff.node import endpoints_worth_sending
from services.map_streamer.snapshot import (
    AccessSettings,
    Cursor,
    Fact,
    NodeDue,
    NodePut,
    NodeRecord,
    NodeRemoved,
    PolicyPut,
    RelayPut,
    RelayRecord,
    Snapshot,
    UserPut,
    UserRecord,
    UserRemoved,
    View,
    affected_nodes,
    empty,
    fold,
    replacement,
)
from services.map_streamer.snapshot.records import ZERO_KEY
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.pending import Pending
from services.map_streamer.tailnet.window import Window
from services.shared.access.compiled import DENY_ALL
from services.shared.tailnet_settings import TailnetSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SETTINGS = AccessSettings()


def node(node_id: int = 1, **fields: object) -> NodeRecord:
    given: dict[str, object] = {
        "machine_key": bytes([node_id]) * 32,
        "node_key": bytes([node_id + 100]) * 32,
        "disco_key": b"\3" * 32,
        "user_id": 1,
        "ipv4": f"100.64.0.{node_id}",
        "home_derp": 900,
        "cap_version": 113,
        "online": True,
        **fields,
    }
    return msgspec.convert(
        {"id": node_id, "stable_id": f"n{node_id}", "given_name": "x", "created": NOW, **given}, NodeRecord
    )


def after(*facts: Fact, before: Snapshot | None = None, now: datetime = NOW) -> Snapshot:
    return fold(before or empty(SETTINGS), facts, Cursor(1, 1), now, SETTINGS)


@pytest.mark.parametrize(
    ("fields", "patch"),
    [
        ({"endpoints": ("192.0.2.1:1",)}, {"endpoints"}),
        ({"home_derp": 901}, {"home_derp"}),
        ({"node_key": b"\7" * 32}, {"node_key"}),
        ({"disco_key": b"\7" * 32}, {"disco_key"}),
        ({"cap_version": 114}, {"cap_version"}),
        ({"expiry": LATER}, {"expiry"}),
        ({"online": False, "last_seen": NOW}, {"online", "last_seen"}),
    ],
)
def test_fields_that_a_patch_can_carry_make_a_patch(fields: dict[str, object], patch: set[str]) -> None:
    assert compare(node(), node(**fields)) == Patch(frozenset(patch))


@pytest.mark.parametrize("fields", [{"home_derp": 0}, {"cap_version": 0}, {"last_seen": NOW}, {}])
def test_what_no_message_can_say_says_nothing(fields: dict[str, object]) -> None:
    assert compare(node(), node(**fields)) is None


@pytest.mark.parametrize(
    "fields",
    [{"given_name": "y"}, {"tags": ("tag:a",)}, {"hostinfo": b'{"a":1}'}, {"disco_key": ZERO_KEY}, {"expired": True}],
)
def test_all_else_sends_the_node_whole(fields: dict[str, object]) -> None:
    assert compare(node(), node(**fields)) is WHOLE


def test_an_expiry_that_is_lifted_sends_the_node_whole() -> None:
    assert compare(node(expiry=LATER), node()) is WHOLE


def test_endpoints_and_disco_key_of_an_expired_node_are_nobodys_business() -> None:
    assert compare(node(expired=True), node(expired=True, endpoints=("192.0.2.1:1",), disco_key=b"\7" * 32)) is None


@pytest.mark.parametrize(
    ("old", "new", "worth"),
    [
        ((("10.0.0.1:1", 1), ("203.0.113.1:1", 2)), (("10.0.0.1:1", 1), ("203.0.113.1:2", 2)), False),
        ((("10.0.0.1:1", 1), ("203.0.113.1:1", 2)), (("203.0.113.1:1", 2), ("10.0.0.1:1", 1)), False),
        ((("10.0.0.1:1", 1),), (("10.0.0.1:1", 1), ("203.0.113.1:2", 2)), True),
        ((("10.0.0.1:1", 1), ("203.0.113.1:1", 4)), (("10.0.0.1:1", 1),), True),
        ((("10.0.0.1:1", 1), ("203.0.113.1:1", 2)), (("10.0.0.2:1", 1), ("203.0.113.1:1", 2)), True),
        ((("10.0.0.1:1", 1),), (), True),
    ],
)
def test_a_stun_mapping_that_moves_is_not_worth_sending(
    old: tuple[tuple[str, int], ...], new: tuple[tuple[str, int], ...], worth: bool
) -> None:
    records = [
        node(endpoints=tuple(one for one, _ in side), endpoint_types=tuple(kind for _, kind in side))
        for side in (old, new)
    ]
    assert endpoints_worth_sending(*records) is worth


def test_endpoints_without_types_are_all_worth_sending() -> None:
    assert endpoints_worth_sending(node(endpoints=("192.0.2.1:1",)), node(endpoints=("192.0.2.1:2",)))


def test_what_access_does_not_ask_leaves_access_alone() -> None:
    before = after(UserPut(UserRecord(1, "ann")), NodePut(node()))
    for fields in ({"online": False}, {"endpoints": ("192.0.2.1:1",)}, {"hostinfo": b'{"x":1}'}, {"given_name": "q"}):
        assert after(NodePut(node(**fields)), before=before).access is before.access
    renamed = after(UserPut(UserRecord(1, "ann", display_name="Ann")), before=before)
    assert renamed.access is before.access
    assert renamed.users[1].display_name == "Ann"


def test_what_access_asks_builds_it_anew() -> None:
    before = after(UserPut(UserRecord(1, "ann")), NodePut(node()))
    router = node(advertised_routes=("10.0.0.0/8",), approved_routes=("10.0.0.0/8",))
    served = after(NodePut(router), before=before)
    away = after(NodePut(msgspec.structs.replace(router, online=False)), before=served)
    for one, other in [
        (before, served),
        (served, away),
        (before, after(NodePut(node(2)), before=before)),
        (before, after(NodePut(node(tags=("tag:a",))), before=before)),
        (before, after(UserPut(UserRecord(1, "ann", role="admin")), before=before)),
        (before, after(PolicyPut(DENY_ALL), before=before)),
    ]:
        assert one.access is not other.access


def test_equal_records_keep_tables_and_objects() -> None:
    before = after(UserPut(UserRecord(1, "ann")), NodePut(node()), RelayPut(RelayRecord("a", 1, "c", "n", "h")))
    again = after(
        UserPut(UserRecord(1, "ann")), NodePut(node()), RelayPut(RelayRecord("a", 1, "c", "n", "h")), before=before
    )
    assert again.nodes is before.nodes
    assert again.users is before.users
    assert again.relays is before.relays


def test_a_key_ends_by_the_clock_and_by_the_registry() -> None:
    live = after(NodePut(node(expiry=LATER)))
    assert not live.nodes[1].expired
    assert after(NodeDue(1), before=live, now=LATER).nodes[1].expired
    ended = after(NodePut(node(recorded_expired=True)))
    assert ended.nodes[1].expired
    assert ended.nodes[1].expiry == NOW
    assert not after(NodePut(node(expiry=LATER)), before=ended).nodes[1].expired


def test_key_index_follows_rotation_and_removal() -> None:
    old = after(NodePut(node()))
    rotated = after(NodePut(node(node_key=b"\7" * 32)), before=old)
    assert rotated.by_key == {b"\7" * 32: 1}
    assert after(NodeRemoved(1), before=rotated).by_key == {}
    assert old.by_key == {node().node_key: 1}


def test_a_suspended_user_has_no_access_in_any_order_of_facts() -> None:
    suspended = UserRecord(1, "ann", suspended=True)
    assert after(UserPut(suspended), NodePut(node())).access_nodes == {}
    first = after(NodePut(node()), UserPut(suspended))
    assert first.access_nodes == {}
    assert list(after(UserPut(UserRecord(1, "ann")), before=first).access_nodes) == [1]


def test_a_suspension_ends_keys_for_clients_and_lifting_it_gives_the_same_end_back() -> None:
    ann, cut = UserRecord(1, "ann"), UserRecord(1, "ann", suspended=True)
    before = after(UserPut(ann), NodePut(node()), NodePut(node(2, expiry=LATER)), NodePut(node(3, tags=["tag:x"])))
    suspended = after(UserPut(cut), before=before)
    assert [(one.expired, one.expiry) for one in suspended.nodes.values()] == [(True, NOW), (True, NOW), (False, None)]
    assert affected_nodes(before, suspended) == {1, 2}
    moved = after(NodePut(node(2, expiry=LATER, home_derp=901)), before=suspended)
    assert (moved.nodes[2].expired, moved.nodes[2].expiry) == (True, NOW)
    restored = after(UserPut(ann), before=moved)
    assert [(one.expired, one.expiry) for one in restored.nodes.values()] == [
        (False, None),
        (False, LATER),
        (False, None),
    ]
    assert affected_nodes(moved, restored) == {1, 2} and not affected_nodes(suspended, moved)
    assert after(UserPut(ann), before=suspended, now=LATER).nodes[2].expired


def test_a_replacement_leads_to_the_fetched_state() -> None:
    before = after(UserPut(UserRecord(1, "ann")), UserPut(UserRecord(2, "bob")), NodePut(node()), NodePut(node(2)))
    facts = replacement(before, [node(2), node(3)], [UserRecord(1, "ann")], [], TailnetSettings())
    snapshot = after(*facts, before=before)
    assert sorted(snapshot.nodes) == [2, 3]
    assert sorted(snapshot.users) == [1]
    assert snapshot.nodes[2] is before.nodes[2]


def test_only_the_newest_fact_about_a_thing_waits() -> None:
    pending = Pending()
    pending.add([NodePut(node()), NodeRemoved(2), UserPut(UserRecord(1, "ann"))], Cursor(3, 0), "a")
    pending.add([NodeDue(1), NodeRemoved(1), UserRemoved(1)], Cursor(5, 0), "b")
    assert pending.facts == [NodeRemoved(2), NodeRemoved(1), UserRemoved(1)]
    assert pending.cursor == Cursor(5, 0)
    assert pending.touched == {1, 2}
    assert pending.opaque
    assert pending.traces == ["a", "b"]


def test_the_window_answers_quiet_at_once_and_load_with_patience() -> None:
    window = Window()
    assert window.due(100.0) == pytest.approx(100.005)
    window.record(101.0, cpu=0.02, recipients=0)
    assert window.due(101.01) == pytest.approx(101.08)
    window.record(102.0, cpu=10.0, recipients=0)
    assert window.due(102.0) == pytest.approx(102.5)
    window.record(103.0, cpu=0.0, recipients=0)
    assert window.due(103.0) == pytest.approx(103.010)


def test_the_window_lets_newcomers_alone_wait() -> None:
    window = Window()
    assert window.due(100.0, newcomers=True) == pytest.approx(100.25)
    window.record(100.2, cpu=10.0, recipients=0)
    assert window.due(100.0, newcomers=True) == pytest.approx(100.7)


def test_the_window_reckons_with_what_the_gateways_spend_on_each_recipient() -> None:
    """The streamer's own share of a fan-out is the small one."""
    window = Window()
    window.record(100.0, cpu=0.002, recipients=1000)
    assert window.due(100.0) == pytest.approx(100.048)


def test_history_finds_what_a_cursor_from_elsewhere_lies_between() -> None:
    views = [View(empty(SETTINGS))]
    for registry in (5, 9, 12):
        snapshot = fold(views[-1].snapshot, [NodePut(node(registry))], Cursor(registry, 0), NOW, SETTINGS)
        views.append(View(snapshot, views[-1], frozenset({registry})))
    history = History(views[0])
    for view in views[1:]:
        history.push(view)
    assert history.view_at(Cursor(9, 0)) == (views[2], None)
    assert history.view_at(Cursor(10, 0)) == (views[2], frozenset({12}))
    assert history.view_at(Cursor(13, 0)) is None
    assert history.view_at(Cursor(4, 0)) == (views[0], frozenset({5}))
    assert history.view_at(Cursor(4, 1)) is None


def test_a_cursor_that_is_ahead_in_one_log_is_in_doubt_until_a_view_covers_it_in_both() -> None:
    """Its replica heard of the policy before it heard of nodes that this one heard of first."""
    history = History(View(empty(SETTINGS)))
    for registry, policy in ((5, 0), (6, 0), (7, 0), (7, 1), (8, 1), (8, 2)):
        before = history.current
        touched = frozenset({registry}) if registry != before.cursor.registry else frozenset[int]()
        snapshot = fold(before.snapshot, [], Cursor(registry, policy), NOW, SETTINGS)
        history.push(View(snapshot, before, touched, opaque=policy == 1 and not touched))
    assert history.view_at(Cursor(5, 1)) is None
    assert history.view_at(Cursor(7, 2)) == (history.at(4), frozenset({8}))


def test_a_cursor_beside_several_views_has_the_nodes_of_all_of_them_in_doubt() -> None:
    history = History(View(empty(SETTINGS)))
    for registry, policy in ((5, 1), (6, 1), (7, 1), (7, 2)):
        before = history.current
        snapshot = fold(before.snapshot, [], Cursor(registry, policy), NOW, SETTINGS)
        history.push(View(snapshot, before, frozenset({registry})))
    assert history.view_at(Cursor(5, 2)) == (history.at(1), frozenset({6, 7}))


def test_views_that_tell_nobody_anything_take_one_place_but_stay_known() -> None:
    view = View(empty(SETTINGS))
    history = History(view)
    for number in range(1, 200):
        moved = fold(view.snapshot, [], Cursor(2 * number, 0), NOW, SETTINGS)
        view = View(moved, view, frozenset({number}))
        history.replace(view)
    assert view.rev == 0
    assert history.at(0) is view
    assert history.view_at(Cursor(2, 0)) == (view, None)
    assert history.view_at(Cursor(398, 0)) == (view, None)
    found = history.view_at(Cursor(3, 0))
    assert found is not None
    assert found[0] is view
    assert found[1] == frozenset(range(1, 200))
    assert history.view_at(Cursor(399, 0)) is None


def test_history_is_bounded() -> None:
    view = View(empty(SETTINGS))
    history = History(view)
    for number in range(100):
        view = View(fold(view.snapshot, [], Cursor(number + 1, 0), NOW, SETTINGS), view)
        history.push(view)
    assert history.at(view.rev) is view
    assert history.at(view.rev - 63) is not None
    assert history.at(view.rev - 64) is None
