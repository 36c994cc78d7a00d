"""Structured logging: a fixed event with fields, as text or JSON, with the ids of the current span.

Text goes to standard error and JSON to standard output, as Headscale's do. Values are escaped, so no client
input can forge a line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace

from services.shared.telemetry.redaction import redacted

TRACE = 5
_FIELDS = "smartscale_fields"
_HANDLER = "smartscale"
_LEVELS = {
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
    "disabled": logging.CRITICAL + 10,
}
_NAMES = {
    logging.CRITICAL: "fatal",
    logging.ERROR: "error",
    logging.WARNING: "warn",
    logging.INFO: "info",
    logging.DEBUG: "debug",
    TRACE: "trace",
}


class Logger:
    """Logs fixed events with fields: `log.info("node admitted", node_id=7)`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def trace(self, event: str, **fields: object) -> None:
        """Log a detail of the wire protocol."""
        self._log(TRACE, event, fields)

    def debug(self, event: str, **fields: object) -> None:
        """Log a detail of one request."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log a normal event of interest to operators."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log an event that an operator should check."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a failure."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log a failure with the traceback of the exception being handled."""
        self._log(logging.ERROR, event, fields, exc_info=True)

    def enabled(self, level: int) -> bool:
        """Return whether events of a level are written; guards fields that are costly to compute."""
        return self._logger.isEnabledFor(level)

    def _log(self, level: int, event: str, fields: dict[str, object], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={_FIELDS: fields}, exc_info=exc_info)


def get_logger(name: str) -> Logger:
    """Return the logger of a module; pass `__name__`."""
    return Logger(name)


def configure_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send all logs of the process to one stream in one format; replaces an earlier configuration."""
    handler = logging.StreamHandler(stream or (sys.stdout if form == "json" else sys.stderr))
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger()
    handler.set_name(_HANDLER)
    for old in [old for old in root.handlers if old.get_name() == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS.get(level, logging.INFO))
    for noisy in ("aiosqlite", "alembic", "asyncio", "grpc", "hpack", "httpcore", "httpx", "sqlalchemy.pool"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace_of() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, object] = {
            "time": _time_of(record),
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "logger": record.name,
            "message": record.getMessage(),
            **_trace_of(),
        }
        for name, value in getattr(record, _FIELDS, {}).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redacted(json.dumps(line, default=str, ensure_ascii=True))


class TextFormatter(logging.Formatter):
    """One line a record: time, level, event, then `name=value` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        parts = [
            _time_of(record),
            _NAMES.get(record.levelno, record.levelname.lower()).upper(),
            _plain(record.getMessage()),
        ]
        fields: dict[str, object] = {**getattr(record, _FIELDS, {}), "logger": record.name, **_trace_of()}
        parts.extend(f"{name}={_quoted(value)}" for name, value in fields.items())
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redacted(line)


def _plain(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(mark in text for mark in ' "=\\'):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
