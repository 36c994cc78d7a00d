"""A proxy that does not pass `Upgrade` is named, in the answer and as a warning in the log."""

import logging

import pytest

from tests.fakes.edge import serve_edge
from tests.flow.upgrade.wire import answer_to, initiator, upgrade


@pytest.mark.parametrize(
    ("changes", "is_stripped"),
    [
        ({"Upgrade": None, "Connection": "close"}, True),
        ({"Upgrade": None}, True),
        ({"Connection": "keep-alive"}, True),
        ({"Upgrade": "h2c"}, False),
        ({"Upgrade": None, "X-Tailscale-Handshake": None}, False),
    ],
)
async def test_a_handshake_without_its_upgrade_came_through_a_proxy(
    changes: dict[str, str | None], is_stripped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serve_edge() as edge:
        answer = await answer_to(edge, upgrade(initiator(edge).initiation, **changes))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (b"a proxy took the Upgrade header away" in answer) is is_stripped
    (record,) = [record for record in caplog.records if record.getMessage().startswith("request refused")]
    assert (record.levelname == "WARNING") is is_stripped
