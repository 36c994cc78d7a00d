"""Structured logs, spans, metrics and debug pages of a process. Free of cost where disabled."""

from services.shared.telemetry.logs import Logger as Logger
from services.shared.telemetry.logs import get_logger as get_logger
from services.shared.telemetry.setup import Telemetry as Telemetry
from services.shared.telemetry.setup import start_telemetry as start_telemetry
