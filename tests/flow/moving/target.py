"""What a tailnet holds after an import, read by the services' own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.auth.model.api_key import ApiKey
from services.auth.model.preauth_key import PreAuthKey
from services.auth.sql import SqlApiKeys, SqlPreAuthKeys
from services.policy.sql import SqlStore as PolicyStore
from services.policy.wire import ChangeCodec as PolicyCodec
from services.registry.change_codec import ProtoFactCodec
from services.registry.model.link import Link
from services.registry.model.node import Node
from services.registry.model.user import User
from services.registry.sql import SqlStore
from services.registry.sql.people import SqlPeople
from services.shared.config.model import DatabaseConfig
from services.shared.db.database import create_engine, read
from services.shared.ids import DEFAULT_TAILNET


@dataclass(frozen=True)
class Tailnet:
    """Everything that an import writes."""

    users: dict[int, User]
    nodes: dict[int, Node]
    links: Sequence[Link]
    preauth_keys: dict[int, PreAuthKey]
    api_keys: dict[int, ApiKey]
    policy: str
    position: int


async def tailnet_of(database: DatabaseConfig) -> Tailnet:
    """Read a database."""
    engine = create_engine(replace(database))
    try:
        store = SqlStore(engine, DEFAULT_TAILNET, ProtoFactCodec(DEFAULT_TAILNET))
        state = await store.load()
        async with read(engine) as connection:
            links = await SqlPeople(connection, DEFAULT_TAILNET).links()
        policy = await PolicyStore(engine, DEFAULT_TAILNET, PolicyCodec()).current()
        return Tailnet(
            users=dict(state.users),
            nodes=dict(state.nodes),
            links=links,
            preauth_keys={key.id: key for key in await SqlPreAuthKeys(engine, DEFAULT_TAILNET).list(None)},
            api_keys={key.id: key for key in await SqlApiKeys(engine, DEFAULT_TAILNET).list()},
            policy=policy.text if policy is not None else "",
            position=state.position,
        )
    finally:
        await engine.dispose()
