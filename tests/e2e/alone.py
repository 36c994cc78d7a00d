"""One `headscale serve` on loopback, with free ports and a certificate of its own: for administrators' programs."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
from headscale.v1 import apikey_pb2, headscale_pb2_grpc

from tests.e2e.waiting import STARTUP, wait_for
from tests.fakes.certificates import issue
from tests.fakes.ports import free_port

HEADSCALE = str(Path(sys.executable).with_name("headscale"))

_CONFIG = """
server_url: https://localhost:{web}
listen_addr: 127.0.0.1:{web}
grpc_listen_addr: 127.0.0.1:{grpc}
metrics_listen_addr: ""
state_dir: {folder}
unix_socket: {folder}/headscale.sock
tls_cert_path: {folder}/server.pem
tls_key_path: {folder}/server.key
noise: {{private_key_path: {folder}/noise_private.key}}
database: {{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48"}}
dns: {{magic_dns: true, base_domain: tail.test, override_local_dns: false}}
derp:
  server:
    enabled: true
    listen_addr: 127.0.0.1:{derp}
    stun_listen_addr: 127.0.0.1:{stun}
    private_key_path: {folder}/derp_private.key
policy: {{mode: database}}
log: {{level: info, format: text}}
gateway: {{admin_calls_per_second: {calls}, admin_wrong_keys: {wrong}}}
"""


class Alone:
    """The server, its socket, its addresses and an API key."""

    def __init__(self, folder: Path, calls_per_second: int = 100_000, wrong_keys: int = 100_000) -> None:
        self.folder = folder
        self.certificate = write_certificate(folder)
        self.tls = ssl.create_default_context(cafile=str(self.certificate))
        ports = {name: free_port() for name in ("web", "grpc", "derp", "stun")}
        self.url, self.grpc = f"https://localhost:{ports['web']}", f"localhost:{ports['grpc']}"
        self.socket = folder / "headscale.sock"
        self.config = folder / "config.yaml"
        self.config.write_text(_CONFIG.format(folder=folder, calls=calls_per_second, wrong=wrong_keys, **ports))
        self.log = folder / "log"
        self.start()
        self.key = self.new_key()

    def start(self) -> None:
        """Start the server, again after `kill`, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [HEADSCALE, "-c", str(self.config), "serve"], stdout=log, stderr=log, env={**os.environ, "TZ": "UTC"}
            )
        try:
            wait_for("the server is healthy", self._healthy, STARTUP)
        except BaseException:
            self._process.kill()
            raise

    def kill(self) -> None:
        """End it as `kill -9` does, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait(20)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def new_key(self) -> str:
        """An API key, made over the socket."""
        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)
            request = apikey_pb2.CreateApiKeyRequest()
            return str(stub.CreateApiKey(request, timeout=20, wait_for_ready=True).api_key)

    def ask(self, verb: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """One REST call: the status and the decoded answer."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=verb,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key or self.key}"},
        )
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def faults(self) -> list[str]:
        """Lines of the log that no input may cause."""
        signs = ("Traceback", "never retrieved", "never awaited", "administration call failed", "rpc failed")
        return [
            line for line in self.log.read_text(errors="replace").splitlines() if any(sign in line for sign in signs)
        ]

    def close(self) -> None:
        """Ask it to end, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)

    def _healthy(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{self.url}/health", context=self.tls, timeout=2) as answer:
                return answer.status == 200 and self.socket.exists()
        except OSError:
            return False


def write_certificate(folder: Path, *others: str) -> Path:
    """A certificate for localhost, and for other names and addresses, that signs itself; its key lies beside it."""
    return issue("localhost", "127.0.0.1", *others, authority=True, days=1).write(folder)[0]
