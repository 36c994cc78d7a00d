"""The systemd unit names what the configuration's defaults name, and leaves the server the time and files it needs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from cli.frame.parser import root as command_line
from services.shared.config import Config, GatewayConfig
from services.shared.config.environment import keys
from services.shared.config.model import DEFAULT_SOCKET, DEFAULT_STATE_DIR

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = (SYSTEMD / "headscale.service").read_text()


def value(key: str) -> str:
    """The one value of a setting."""
    (found,) = re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_the_state_lies_where_the_configuration_puts_it() -> None:
    assert Path("/var/lib") / value("StateDirectory") == DEFAULT_STATE_DIR


def test_the_socket_lies_in_the_runtime_directory_and_is_for_the_group() -> None:
    assert Path("/var/run") / value("RuntimeDirectory") == DEFAULT_SOCKET.parent
    folder, socket = int(value("RuntimeDirectoryMode"), 8), Config().unix_socket_permission
    assert folder & 0o050 == 0o050 and socket & 0o070 == 0o070
    assert (folder | socket) & 0o007 == 0


def test_its_command_is_understood_and_reload_is_the_signal_of_reload() -> None:
    program, *words = shlex.split(value("ExecStart"))
    assert Path(program).is_absolute() and program.endswith("/headscale")
    chosen = command_line().parse_args(words)
    assert (chosen.config, chosen.process) == ("/etc/headscale/config.yaml", [])
    assert shlex.split(value("ExecReload"))[1:] == ["-HUP", "$MAINPID"]


def test_it_may_open_more_files_than_there_may_be_clients() -> None:
    assert int(value("LimitNOFILE")) > GatewayConfig().max_connections


def test_a_stop_has_the_time_that_the_last_worker_may_take() -> None:
    assert int(value("TimeoutStopSec")) >= GatewayConfig().drain_timeout.total_seconds() + 15


def test_the_credential_that_it_shows_is_a_secret_of_the_configuration() -> None:
    shown = re.findall(r"^# LoadCredential=([\w.]+):", UNIT, re.MULTILINE)
    assert shown and set(shown) <= {".".join(path) for path, is_secret in keys() if is_secret}


def test_its_user_is_made_by_the_file_beside_it() -> None:
    lines = (SYSTEMD / "headscale.sysusers").read_text().splitlines()
    (made,) = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert made[:2] == ["u", value("User")] and value("Group") == value("User")
    assert Path(made[-1]) == DEFAULT_STATE_DIR
