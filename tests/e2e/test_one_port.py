"""One open TCP port and STUN are enough: clients behind hard NAT talk over `/derp` under the server's certificate."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import clients, lab
from tests.e2e.alone import write_certificate
from tests.e2e.clients import Caddy
from tests.e2e.lab import SERVER_IP, Lab
from tests.e2e.machine import Machine
from tests.e2e.waiting import STARTUP, wait_for

NAME = "headscale.example.com"
URL = f"https://{NAME}"
_SERVER = """
server_url: {url}
listen_addr: 0.0.0.0:443
metrics_listen_addr: 127.0.0.1:9090
tls_cert_path: {folder}/server.pem
tls_key_path: {folder}/server.key
unix_socket: {folder}/headscale.sock
dns: {{base_domain: tail.test}}
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    reasons = [lab.missing(), clients.missing()]
    reasons += [
        None if shutil.which(name) else f"the program {name} is not installed" for name in ("unshare", "nsenter")
    ]
    if reason := next(filter(None, reasons), None):
        pytest.skip(reason)
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.e2e
def test_clients_behind_hard_nat_are_relayed_over_the_port_of_the_server(net: Lab) -> None:
    certificate = write_certificate(net.folder, NAME)
    machine = Machine(net)
    machine.set(SSL_CERT_FILE=str(certificate), CURL_CA_BUNDLE=str(certificate))
    machine.write("/etc/hosts", f"127.0.0.1 localhost\n{SERVER_IP} {NAME}\n")
    machine.write("/etc/headscale/config.yaml", _SERVER.format(url=URL, folder=net.folder))
    tested = machine.run("headscale configtest")
    assert tested.returncode == 0, tested.stderr
    server = machine.start("server", ["headscale", "serve"])
    ones = []
    try:
        wait_for("alice is made", lambda: not machine.run("headscale users create alice").returncode, STARTUP)
        key = json.loads(machine.run("headscale preauthkeys create --user alice --reusable -o json").stdout)["key"]
        listening = machine.run("ss -ltn").stdout
        assert ":443 " in listening and ":8443 " not in listening
        for host in ("one", "two"):
            net.add_host(host, "hard")
            made = Caddy(net, host, host, URL, key)
            made.extra["SSL_CERT_FILE"] = str(certificate)
            made.through = tuple(machine.files)
            ones.append(made)
            made.start()
            made.wait_running()
        one, two = ones
        wait_for("one fetches from two", lambda: f"hello from {two.name}" in one.fetch(f"http://{two.name}/", 5), 45)
        metrics = machine.run("curl -s http://127.0.0.1:9090/metrics").stdout
        counted = {
            name: float(value)
            for name, value in re.findall(r"^(smartscale_derp_\w+(?:{[^}]*})?) (\S+)$", metrics, re.M)
        }
        assert counted["smartscale_derp_clients"] == 2.0
        assert counted['smartscale_derp_packets_total{direction="sent"}'] > 0, counted
        assert "Traceback" not in server.text()
    finally:
        for client in ones:
            client.stop()
        server.stop()
