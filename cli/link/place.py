"""Opens the database that the server of a configuration would use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.frame.errors import CommandError

if TYPE_CHECKING:
    from services.shared.config import Config


def database_in_use(config: Config) -> Config:
    """Return the configuration with the database that its server uses.

    Raises:
        CommandError: the database is not ours, or cannot be read.
    """
    from services.shared.db.place import RefusedDatabaseError, place_of

    try:
        return asyncio.run(place_of(config))
    except RefusedDatabaseError as error:
        raise CommandError(error.what, error.remedy) from None
