"""Changes of rights and the logins that nodes are in by, on each database, also with rows of the version before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.model.login import AuthId, RegisterMethod
from services.auth.model.node_login import NodeLogin
from services.auth.model.oidc.flow import FlowState
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.rights import IdentityGroups, RecordedRightsChange, RightsKind, RightsSource
from services.auth.sql import SqlFlows, SqlLogins, SqlNodeLogins, SqlRights
from services.auth.sql.rights import KEPT
from services.auth.sql.tables import VERSION_TABLE
from services.auth.store.logins import LoginLimits
from services.auth.wiring import MIGRATIONS
from services.shared.db.database import UtcDateTime, migrate, write
from services.shared.ids import DEFAULT_TAILNET, NodeId, TailnetId, UserId
from tests.contract.auth_store import NOW, migrated, new_flow, new_login, sqlite

SUSPEND = RecordedRightsChange(UserId(1), RightsKind.SUSPEND, RightsSource.ADMINISTRATOR, NOW, "me", "left — gone")
ROOM = LoginLimits(total=100, per_network=100)
OTHER = TailnetId("other")


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    config = sqlite(tmp_path) if request.param == "sqlite" else request.getfixturevalue("server")
    async with migrated(config) as made:
        yield made


@pytest.fixture
def rights(engine: AsyncEngine) -> SqlRights:
    return SqlRights(engine, DEFAULT_TAILNET)


async def test_changes_wait_in_their_order_until_they_are_struck_off(rights: SqlRights, engine: AsyncEngine) -> None:
    first = await rights.append(SUSPEND)
    groups = IdentityGroups("https://idp", "s", ("a", "é"))
    second = await rights.append(replace(SUSPEND, kind=RightsKind.GROUPS, login=groups))
    await SqlRights(engine, OTHER).append(SUSPEND)
    assert 0 < first.number < second.number and first == replace(SUSPEND, number=first.number)
    assert await rights.unfinished() == (first, second)
    await rights.mark_done(first, NOW)
    assert await rights.unfinished() == (second,)
    assert len(await SqlRights(engine, OTHER).unfinished()) == 1


async def test_old_changes_are_forgotten_once_they_were_done(rights: SqlRights, engine: AsyncEngine) -> None:
    done, waiting = await rights.append(SUSPEND), await rights.append(SUSPEND)
    await rights.mark_done(done, NOW)
    later = await rights.append(replace(SUSPEND, created_at=NOW + KEPT + timedelta(seconds=1)))
    async with write(engine) as connection:
        kept = (await connection.execute(text("SELECT number FROM auth_rights ORDER BY number"))).scalars().all()
    assert kept == [waiting.number, later.number]


async def test_only_what_a_person_approved_or_is_about_to_confirm_is_refused(
    rights: SqlRights, engine: AsyncEngine
) -> None:
    logins, flows = SqlLogins(engine, DEFAULT_TAILNET), SqlFlows(engine, DEFAULT_TAILNET)
    theirs, others, pending, admitted = [new_login(number) for number in (1, 2, 3, 4)]
    for login in (theirs, others, pending, admitted):
        assert await logins.open(login, "n", ROOM) is not None
    await logins.replace(theirs, theirs.approved(UserId(1), RegisterMethod.CLI))
    await logins.replace(others, others.approved(UserId(2), RegisterMethod.CLI))
    done = admitted.approved(UserId(1), RegisterMethod.CLI)
    await logins.replace(admitted, done)
    await logins.replace(done, done.admitted(NodeId(9)))
    flow = replace(new_flow(1), auth_id=pending.auth_id)
    await flows.add(flow, 8)
    await flows.replace(flow, flow.verified(UserId(1), "a@x", None, "s", "", (), NOW))
    stranger = replace(new_flow(2), auth_id=others.auth_id)
    await flows.add(stranger, 8)
    told = await rights.refuse_logins(UserId(1), RefusalReason.USER_SUSPENDED, "no")
    assert set(told) == {theirs.auth_id, pending.auth_id}
    states = {}
    for login in (theirs, others, pending, admitted):
        found = await logins.get(AuthId(login.auth_id))
        assert found is not None
        states[login.auth_id] = found.state.value
    assert list(states.values()) == ["rejected", "approved", "rejected", "admitted"]
    refused = await flows.get(flow.flow_id)
    assert refused is not None
    assert (refused.state, refused.reason, refused.final) == (FlowState.REFUSED, "user-suspended", True)
    untouched = await flows.get(stranger.flow_id)
    assert untouched is not None and untouched.state is FlowState.STARTED
    assert await rights.refuse_logins(UserId(1), RefusalReason.USER_SUSPENDED, "no") == ()


async def test_a_node_is_in_by_its_newest_login(engine: AsyncEngine) -> None:
    store = SqlNodeLogins(engine, DEFAULT_TAILNET)
    first = NodeLogin(NodeId(1), "", "https://idp", "s", "sid-1", NOW, NOW, NOW + timedelta(days=1))
    other = replace(first, node_id=NodeId(2), sid="sid-2", ends_at=None)
    for login in (other, first, replace(first, node_id=NodeId(3), subject="t")):
        await store.put(login)
    assert await store.of_identity("https://idp", "s") == (first, other)
    assert await store.of_identity("https://idp", "s", "sid-2") == (other,)
    newer = replace(first, subject="t", started_at=NOW + timedelta(hours=1))
    await store.put(newer)
    assert await store.of_identity("https://idp", "s") == (other,)
    assert [login.node_id for login in await store.of_identity("https://idp", "t")] == [1, 3]
    assert await SqlNodeLogins(engine, OTHER).of_identity("https://idp", "s") == ()


async def test_sign_ins_and_changes_of_the_version_before_go_on(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await connection.run_sync(_back_to, "0003")
        change = "number, tailnet_id, user_id, kind, source, actor, reason, created_at"
        await connection.execute(
            _at(f"INSERT INTO auth_rights ({change}) VALUES (7, 'default', 1, 'suspend', 'administrator', '', '', :n)")
        )
        flow = (
            "flow_id, tailnet_id, auth_id, state_hash, browser_hash, created_at, expires_at, state, user_id, "
            "user_text, reason, text, final"
        )
        values = "'0123456789abcdef01234567', 'default', 'a', 's', 'b', :n, :n, 'confirming', 1, 'u', '', '', false"
        await connection.execute(_at(f"INSERT INTO auth_flows ({flow}) VALUES ({values})"))
    await migrate(engine, MIGRATIONS, VERSION_TABLE)
    (waiting,) = await SqlRights(engine, DEFAULT_TAILNET).unfinished()
    assert (waiting.number, waiting.kind, waiting.login) == (7, RightsKind.SUSPEND, None)
    found = await SqlFlows(engine, DEFAULT_TAILNET).get("0123456789abcdef01234567")
    assert found is not None and (found.subject, found.provider, found.user_id) == ("", "", 1)


def _at(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("n", NOW, type_=UtcDateTime))


def _back_to(connection: Connection, revision: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.downgrade(config, revision)
