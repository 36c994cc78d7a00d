"""Examines this host: each configured address, the health of the services, database and bus."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from cli.doctor.asking import SECONDS, NoAnswerError, ask, reason
from cli.frame.errors import CommandError
from cli.link.place import database_in_use
from services.auth.doctor import DoctorReport
from services.shared.preflight.addresses import addresses
from services.shared.preflight.inspection import ALL

if TYPE_CHECKING:
    from services.shared.config import Config

_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound


def examine(config: Config) -> DoctorReport:
    """Examine a server that runs on this host; without one, only database and bus."""
    report = DoctorReport("this host")
    if _socket(report, config):
        _listeners(report, config)
        _health(report, config)
    _database(report, config)
    _bus(report, config)
    return report


def local_url(config: Config, path: str) -> str:
    """Return the URL of a path at `listen_addr`, as this host dials it."""
    secure = config.tls_cert_path is not None or bool(config.tls_letsencrypt_hostname)
    host, port = _dialled(config.listen_addr)
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _dialled(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return _WILDCARDS.get(host, host), int(port)


def _socket(report: DoctorReport, config: Config) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(SECONDS)
        try:
            probe.connect(str(config.unix_socket))
        except OSError as error:
            text = f"no server answers at {config.unix_socket}: {reason(error)}"
            report.warn("unix socket", text, "it does not run on this host", "start it: headscale serve")
            return False
    report.ok("unix socket", f"a server answers at {config.unix_socket}")
    return True


def _listeners(report: DoctorReport, config: Config) -> None:
    processes = ALL if config.derp.server.enabled else ALL - {"derp"}
    for key, address, kind in addresses(config, processes, together=True):
        if kind is socket.SOCK_DGRAM or address.endswith(":0"):
            continue
        try:
            socket.create_connection(_dialled(address), SECONDS).close()
        except OSError as error:
            cause = "the server runs with another configuration, or that part of it stopped"
            report.fail("listeners", f"{key} {address}: {reason(error)}", cause, "restart the server, and see its log")
        else:
            report.ok("listeners", f"{key} {address} is open")


def _health(report: DoctorReport, config: Config) -> None:
    try:
        answer = ask(local_url(config, "/health"))
        state = json.loads(answer.body)
        failing = ", ".join(state.get("failing", ()))
        passes = state["status"] == "pass"
    except NoAnswerError as error:
        report.fail("health", f"listen_addr {config.listen_addr}: {error}", "", "restart the server, and see its log")
        return
    except (ValueError, KeyError, AttributeError, TypeError):
        cause = "another program listens there"
        report.fail("health", f"what answers at {config.listen_addr} is not this server", cause, "stop that program")
        return
    if passes:
        report.ok("health", "every service answers")
    else:
        report.fail("health", f"these services do not answer: {failing or 'unknown'}", "", "see their logs")


def _database(report: DoctorReport, config: Config) -> None:
    """Read a SQLite file from end to end, without writing; PostgreSQL was asked with the configuration."""
    if config.database.type != "sqlite":
        report.ok("database", f"PostgreSQL at {config.database.postgres.host}: see configuration")
        return
    try:
        path = database_in_use(config).database.sqlite.path
    except CommandError as error:
        report.fail("database", str(error), "", error.remedy)
        return
    if not path.is_file():
        report.skip("database", f"{path} does not exist yet; the server makes it when it first starts")
        return
    import sqlite3

    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=SECONDS) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        report.fail("database", f"{path}: {error}", "", "restore it from a backup if this persists")
        return
    if verdict == "ok":
        report.ok("database", f"{path} is whole")
    else:
        report.fail("database", f"{path} is damaged: {verdict}", "", "stop the server and restore a backup")


def _bus(report: DoctorReport, config: Config) -> None:
    if not config.bus.url:
        report.ok("bus", "in memory: one process")
        return
    import redis

    try:
        redis.Redis.from_url(config.bus.url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        text = f"bus.url: Redis does not answer ({type(error).__name__})"
        cause = "without it replicas learn of changes seconds later"
        report.fail("bus", text, cause, "start Redis, or correct bus.url: address, password")
    else:
        report.ok("bus", "Redis answers")
