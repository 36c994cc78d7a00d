"""A PostgreSQL for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.shared.config.model import DatabaseConfig
from tests.fakes import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseConfig]:
    """How to reach it."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres() as config:
        yield config
