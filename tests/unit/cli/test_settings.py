"""How a command finds its server: the quick reader and the careful one say the same, whatever is written."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from cli.frame.commands import MODULES
from cli.frame.errors import CommandError
from cli.link import settings
from cli.link.remote import login_server

CONFIG = """server_url: https://hs.example.com
prefixes: {v4: 100.64.0.0/10}
dns: {base_domain: tailnet.internal, override_local_dns: false}
"""
FILES = [
    "", "# nothing\n", "server_url: nonsense\nlisten_adr: x\n",
    "cli:\n  address: hs.example.net:50443\n  api_key: hskey-api-a-b\n  timeout: 12s\n  insecure: true\n",
    "cli: {address: 'a:1', timeout: 2m, insecure: no}\n", "cli:\n", "cli:\n  api_key: 12345\n", "cli: 3\n",
    "cli:\n  timeout: 1h30m\n", "cli:\n  timeout: 5\n", "cli:\n  timeout: soon\n", "cli:\n  timeout: ''\n",
    "cli:\n  insecure: maybe\n", "cli:\n  insecure: 'on'\n", "cli:\n  adress: x\n", "cli:\n  address: $HOME\n",
    "cli:\n  address: ' a:1 '\n", "cli:\n  address: a:1\ncli:\n  address: b:1\n", "cli:\n  address: [a]\n",
    "unix_socket: /tmp/x.sock\nunix_socket_permission: '0700'\n", "unix_socket: x.sock\n", "unix_socket: ~/x.sock\n",
    "unix_socket: $HOME/x.sock\n", "unix_socket: 3\n", "unix_socket: /tmp//x.sock\n", "unix_socket:\n",
    "state_dir: /srv/hs\n", "state_dir: /srv/hs/\n", "state_dir: /var/lib/headscale\n", "state_dir: state\n",
    "state_dir: /srv/hs\nunix_socket: /run/x\n", "- a\n- b\n", "a: [\n", "\xff", "{\"cli\": {\"address\": \"a:1\"}}",
    "&a a: *a\n", "a: 1\n---\nb: 2\n", "cli: &x {address: 'a:1'}\nother: *x\n",
]  # fmt: skip
VARIABLES: list[dict[str, str]] = [
    {},
    {"HEADSCALE_CLI_ADDRESS": "b:2", "HEADSCALE_CLI_API_KEY": "k", "HEADSCALE_CLI_TIMEOUT": "7s"},
    {"HEADSCALE_CLI_INSECURE": "TRUE", "HEADSCALE_CLI_TIMEOUT": "1.5s", "HEADSCALE_CLI_ADDRESS": ""},
    {"HEADSCALE_CLI_INSECURE": "1", "HEADSCALE_UNIX_SOCKET": "/run/y.sock"},
    {"HEADSCALE_CLI_INSECURE": "x"},
    {"HEADSCALE_STATE_DIR": "/srv/env", "HEADSCALE_CLI_API_KEY_FILE": "/nonexistent"},
]


def answer(read: object, config: Path, env: dict[str, str]) -> object:
    try:
        return read(str(config), env)  # type: ignore[operator]
    except CommandError as error:
        return str(error)


@pytest.mark.parametrize("env", VARIABLES)
def test_what_is_written_plainly_is_read_as_the_careful_reader_reads_it(tmp_path: Path, env: dict[str, str]) -> None:
    config = tmp_path / "config.yaml"
    for text in FILES:
        config.write_bytes(text.encode("latin-1"))
        assert answer(settings.read, config, env) == answer(settings.carefully, config, env), text


def test_the_usual_files_are_read_without_the_careful_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "carefully", None)
    config = tmp_path / "config.yaml"
    config.write_text("server_url: http://x\nstate_dir: /srv\ncli:\n  address: a:1\n  timeout: 9s\n")
    assert settings.read(str(config), {}) == ("a:1", "", 9.0, False, "/srv/headscale.sock")
    assert settings.read(str(tmp_path), {"HEADSCALE_CLI_ADDRESS": "b:1"}).address == "b:1"


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    assert "none.yaml" in str(answer(settings.read, tmp_path / "none.yaml", {}))


NOT_NEEDED = [
    "asyncpg", "authlib", "cryptography", "fastapi", "httpx", "importlib.metadata", "json", "joserfc", "msgspec",
    "opentelemetry", "orjson", "pathlib", "prometheus_client", "services", "shutil", "sqlalchemy", "uvicorn", "uvloop",
    "cli.server.serve", "cli.server.server", "cli.users.users", "cli.policy.policy", "gateway", "redis", "zstandard",
    "smartscale", "smartscale.auth", "smartscale.policy", "smartscale.registry",
]  # fmt: skip


@pytest.mark.parametrize("words", [["nodes", "list"], ["users", "list"], ["apikeys", "list"], ["routes", "list"]])
def test_a_remote_command_imports_nothing_that_it_does_not_need(tmp_path: Path, words: list[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"unix_socket: {tmp_path}/none.sock\n")
    code = (
        "import sys, grpc; before = set(sys.modules)\n"
        "from cli.__main__ import run\n"
        f"assert run({words}) == 1\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HEADSCALE_CONFIG": str(config)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    assert "no server answers" in done.stderr
    needed = {next(module for module, names in MODULES if words[0] in names)}
    if words[0] in ("nodes", "routes"):  # read in pages
        needed.add("smartscale")
    loaded = done.stdout.split()
    found = [
        name for name in NOT_NEEDED if name not in needed for one in loaded if one == name or one.startswith(name + ".")
    ]
    assert found == []


def test_the_address_that_devices_log_in_to_is_the_one_of_this_machines_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path)})
    config = tmp_path / "config.yaml"
    arguments = Namespace(config=str(config))
    assert login_server(arguments) == "URL"
    config.write_text(CONFIG)
    assert login_server(arguments) == "https://hs.example.com"
    monkeypatch.setattr(os, "environ", {"HEADSCALE_CLI_ADDRESS": "other.example:50443", "HEADSCALE_CLI_API_KEY": "k"})
    assert login_server(arguments) == "URL", "the server is another machine's"
    config.write_text("server_url: [\n")
    assert login_server(arguments) == "URL"
