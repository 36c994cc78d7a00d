"""How a command meets a server: long answers, and why one cannot be reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from headscale.v1 import headscale_pb2, policy_pb2, user_pb2

from cli.frame.errors import CommandError
from cli.link import settings, unverified
from cli.link.remote import Remote
from tests.fakes.certificates import issue

LONG = "x" * (6 << 20)


class Anything(grpc.GenericRpcHandler):
    """Answers GetPolicy at length and knows nothing else."""

    def service(self, details: Any) -> Any:
        if not details.method.endswith("/GetPolicy"):
            return None
        answer = policy_pb2.GetPolicyResponse(policy=LONG).SerializeToString()
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[grpc.Server]:
    made = grpc.server(ThreadPoolExecutor(1))
    made.add_generic_rpc_handlers((Anything(),))
    yield made
    made.stop(None)


def ask(monkeypatch: pytest.MonkeyPatch, name: str = "ListUsers", request: Any = None, **env: str) -> Any:
    for key in [key for key in os.environ if key.startswith("HEADSCALE_")]:
        monkeypatch.delenv(key)
    monkeypatch.setattr("cli.link.settings._FOLDERS", ())
    for key, value in env.items():
        monkeypatch.setenv(f"HEADSCALE_{key}", value)
    with Remote(Namespace(config=None)) as remote:
        return remote.call(name, request or user_pb2.ListUsersRequest())


def test_an_answer_may_be_long(server: grpc.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add_insecure_port(f"unix:{tmp_path}/s.sock")
    server.start()
    answer = ask(monkeypatch, "GetPolicy", policy_pb2.GetPolicyRequest(), UNIX_SOCKET=f"{tmp_path}/s.sock")
    assert answer.policy == LONG


def test_a_server_that_lacks_a_call_is_told_to_be_older(
    server: grpc.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_insecure_port(f"unix:{tmp_path}/s.sock")
    server.start()
    with pytest.raises(CommandError, match="does not know this command"):
        ask(monkeypatch, UNIX_SOCKET=f"{tmp_path}/s.sock")


def test_a_certificate_that_cannot_be_verified_is_named_as_the_reason(
    server: grpc.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = issue("smartscale").write(tmp_path)
    pair = (key.read_bytes(), certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    with pytest.raises(CommandError, match="cannot be verified") as caught:
        ask(monkeypatch, CLI_ADDRESS=f"127.0.0.1:{port}", CLI_API_KEY="k")
    assert "HEADSCALE_CLI_INSECURE=true" in caught.value.remedy


def test_a_server_without_tls_is_named_as_the_reason(server: grpc.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(CommandError, match="does not speak TLS"):
        ask(monkeypatch, CLI_ADDRESS=f"127.0.0.1:{port}", CLI_API_KEY="k")


def test_nobody_there_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(CommandError, match="no server answers"):
        ask(monkeypatch, CLI_ADDRESS=address, CLI_API_KEY="k")
    with pytest.raises(CommandError, match="no server answers"):
        ask(monkeypatch, UNIX_SOCKET=f"{tmp_path}/none.sock")


@pytest.mark.parametrize("address", ["nonsense", ":", "host:port", "[::1", "127.0.0.1:99999999", "a b:1", ""])
def test_a_strange_address_has_no_certificate_to_trust(address: str) -> None:
    assert unverified._certificate(address, 1.0) is None


SWALLOWED = """
import os, signal, sys, time
from cli.link.interrupt import end_at_interrupt, raise_at_interrupt

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs between two steps of this loop
            pass

if sys.argv[1] == "within":
    end_at_interrupt()
else:
    end_at_interrupt()
    raise_at_interrupt()
Destroyed()
print("went on")
"""


@pytest.mark.parametrize(("when", "status", "out"), [("within", 130, ""), ("after", 0, "went on\n")])
def test_an_interrupt_that_a_destructor_would_swallow_ends_a_command(when: str, status: int, out: str) -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED, when], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (status, out)
    assert ("Exception ignored" in done.stderr) is (when == "after")


def test_without_a_configuration_the_remedy_is_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_FOLDERS", (str(tmp_path / "none"),))
    monkeypatch.setattr(settings, "_DEFAULT_SOCKET", str(tmp_path / "default.sock"))
    config = tmp_path / "config.yaml"
    config.write_text(f"unix_socket: {tmp_path}/hs.sock\n")
    for named, remedy in ((None, "-c FILE"), (str(config), "headscale serve")):
        answers = pytest.raises(CommandError, match="no server answers at unix:")
        with answers as caught, Remote(Namespace(config=named)) as remote:
            remote.call("Health", headscale_pb2.HealthRequest())
        assert remedy in caught.value.remedy
    for named, hint in ((None, ""), (str(config), "headscale configtest")):
        assert settings.after_refusal(named, {}).startswith(hint)
