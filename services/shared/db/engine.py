"""The engines and connections of SQLAlchemy on the event loop, imported without its unused object mapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.shared.without_init import skip_init

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
else:
    skip_init("sqlalchemy.ext.asyncio")
    from sqlalchemy.ext.asyncio.engine import AsyncConnection, AsyncEngine, create_async_engine

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]
