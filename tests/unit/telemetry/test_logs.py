"""Logs: fields, forms, and nothing that a client can forge."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from services.shared.telemetry import get_logger
from services.shared.telemetry.logs import configure_logging


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream(restored: None) -> io.StringIO:
    return io.StringIO()


def test_text_shows_event_and_fields(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream)
    get_logger("here").info("node admitted", node_id=7, name="two words", empty="")
    line = stream.getvalue()
    assert ' INFO node admitted node_id=7 name="two words" empty="" logger=here\n' in line


def test_json_is_one_object_a_line_with_the_trace(stream: io.StringIO) -> None:
    configure_logging("debug", "json", stream)
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        get_logger("here").debug("node admitted", node_id=7, message="cannot hide the event")
    line = json.loads(stream.getvalue())
    assert line["message"] == "node admitted"
    assert line["level"] == "debug"
    assert line["node_id"] == 7
    assert line["trace_id"] == f"{0xABC:032x}"
    assert line["span_id"] == f"{0xDEF:016x}"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_value_cannot_forge_a_line(stream: io.StringIO, form: str) -> None:
    configure_logging("info", form, stream)
    get_logger("here").info("hostname", raw="x\n2026 ERROR forged\x1b[31m\u2028")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("hskey-authreq-0123456789abcdef01234567", "hskey-authreq-01234567..."),
        ("hskey-authreq-MR7Vh2Zx-Q_3kLmNoPqRsTuv", "hskey-authreq-MR7Vh2Zx..."),
        ("hskey-auth-abcdefghijkl-" + "5" * 64, "hskey-auth-abcdefghijkl..."),
        ("hskey-api-abcdefghijkl-" + "5" * 64, "hskey-api-abcdefghijkl..."),
    ],
)
def test_what_opens_something_is_shortened_wherever_it_stands(
    stream: io.StringIO, form: str, secret: str, shown: str
) -> None:
    configure_logging("info", form, stream)
    log = get_logger("here")
    log.info("field", auth_id=secret, url=f"https://c.example.com/register/{secret}?x=1", many=[secret])
    logging.getLogger("other").warning("GET /register/%s 200", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("failed")
    told = stream.getvalue()
    assert secret not in told and told.count(shown) >= 5


def test_levels_below_the_wanted_one_are_silent(stream: io.StringIO) -> None:
    configure_logging("warn", "text", stream)
    log = get_logger("here")
    log.info("no")
    log.trace("no")
    assert not log.enabled(logging.INFO)
    log.warning("yes")
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == ["yes"]


def test_an_exception_is_written_with_its_traceback(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream)
    try:
        raise KeyError("k")
    except KeyError:
        get_logger("here").exception("failed")
    assert "KeyError" in json.loads(stream.getvalue())["exception"]
