"""Fixtures of the end-to-end tests: a lab with a server in it, in both shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import clients, lab, servers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that lies here needs real programs."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module", params=["embedded", "stack"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Our server in a lab of its own: one process on SQLite, then every part on PostgreSQL and Redis."""
    if reason := lab.missing() or clients.missing():
        pytest.skip(reason)
    if request.param == "stack" and (reason := servers.missing_for_stack()):
        pytest.skip(reason)
    net = lab.Lab(tmp_path_factory.mktemp("lab"))
    made: servers.Server | None = None
    try:
        made = servers.Embedded(net) if request.param == "embedded" else servers.Stack(net)
        yield made
        assert made.faults() == []
    finally:
        if made is not None:
            made.close()
        net.close()


@pytest.fixture(scope="module")
def net(server: servers.Server) -> lab.Lab:
    """The lab that the server runs in, to which hosts are added."""
    return server.lab
