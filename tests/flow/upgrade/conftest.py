"""On which event loops the edge is tried."""

import pytest
import uvloop


@pytest.fixture
def event_loop_policy():
    """The one that the server runs on."""
    return uvloop.EventLoopPolicy()
