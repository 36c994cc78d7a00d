"""nginx before the server, by our file as it stands in `deploy/nginx` and by the guide's: real clients do not mind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import clients, guide, lab
from tests.e2e.alone import write_certificate
from tests.e2e.clients import Caddy
from tests.e2e.inside import netmap
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, Lab, Process
from tests.e2e.machine import Machine
from tests.e2e.waiting import STARTUP, wait_for

ROOT = Path(__file__).parents[2]
NAME = "headscale.example.com"
URL = f"https://{NAME}"
OURS = ROOT / "deploy" / "nginx" / "smartscale.conf"
OURS_FOR_GRPC = OURS.with_name("smartscale-grpc.conf")

_SERVER = f"""
server_url: {URL}
listen_addr: 127.0.0.1:8080
grpc_listen_addr: 127.0.0.1:50444
grpc_allow_insecure: true
trusted_proxies: [127.0.0.1]
dns: {{base_domain: tail.test}}
derp: {{server: {{hostname: {PUBLIC_IP}, ipv4: {PUBLIC_IP}}}}}
"""

_NGINX = """
error_log stderr info;
pid /run/nginx.pid;
events { worker_connections 64; }
http { access_log /dev/stderr; include /etc/nginx/conf.d/*.conf; }
"""

_TUNNELS = f"""
import asyncio, os, ssl, sys
sys.path.insert(0, {str(ROOT)!r})
from services.shared.keys import PrivateKey
from tests.fakes.noise_client import NoiseClient

async def main(websocket):
    key, tls = PrivateKey.clamp(os.urandom(32)), ssl.create_default_context()
    async with await NoiseClient.connect({URL!r}, key, websocket=websocket, tls=tls) as client:
        await client.ping()

for websocket in (False, True):
    asyncio.run(main(websocket))
"""
"""Both ways into the tunnel over TLS; the test that uses it names them."""


@dataclass
class Site:
    """A server that only its proxy can reach, and two hosts elsewhere."""

    net: Lab
    machine: Machine
    certificate: Path
    server: Process
    key: str = ""
    nginx: Process | None = None

    def proxy(self, config: str) -> None:
        """Put nginx before the server, in place of the one that stood there."""
        self.stop_proxy()
        self.machine.write("/etc/nginx/conf.d/smartscale.conf", config)
        self.nginx = self.machine.start("nginx", ["nginx", "-c", "/etc/nginx/lab.conf", "-e", "stderr"])
        wait_for("the server is healthy behind nginx", self._healthy, 20)

    def stop_proxy(self) -> None:
        """Take it away."""
        if self.nginx is not None:
            self.nginx.stop()

    def client(self, host: str, name: str) -> Caddy:
        """A published client on a host; it has not started."""
        made = Caddy(self.net, host, name, URL, self.key, ephemeral=True)
        made.extra["SSL_CERT_FILE"] = str(self.certificate)
        made.through = tuple(self.machine.files)
        return made

    def node_id(self, client: Caddy) -> int:
        """Which node a client is."""
        nodes = json.loads(self.machine.run("headscale nodes list -o json --modern").stdout)
        return next(int(node["id"]) for node in nodes if node["givenName"] == client.name)

    def relays(self, viewer: int) -> list[int]:
        """Where a node believes that its peers are reached."""
        return [peer.get("HomeDERP", 0) for peer in netmap(self, viewer)["Peers"]]

    @property
    def folder(self) -> Path:
        """Where the administration socket is."""
        return self.net.folder

    def _healthy(self) -> bool:
        assert self.nginx is not None and self.nginx.running(), self.nginx and self.nginx.text()[-3000:]
        assert self.server.running(), self.server.text()[-3000:]
        return '"pass"' in self.machine.run(f"curl -s -m 2 {URL}/health").stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    reasons = [lab.missing(), clients.missing()]
    for program in ("nginx", "unshare", "nsenter"):
        reasons.append(None if shutil.which(program) else f"the program {program} is not installed")
    if reason := next(filter(None, reasons), None):
        pytest.skip(reason)
    net = Lab(tmp_path_factory.mktemp("lab"))
    made = None
    try:
        certificate = write_certificate(net.folder, NAME)
        machine = Machine(net)
        machine.set(SSL_CERT_FILE=str(certificate), CURL_CA_BUNDLE=str(certificate))
        machine.write("/etc/hosts", f"127.0.0.1 localhost\n{SERVER_IP} {NAME}\n")
        machine.write("/etc/nginx/lab.conf", "daemon off;" + _NGINX)
        for file, its in (("fullchain.pem", "server.pem"), ("privkey.pem", "server.key")):
            machine.write(f"/etc/letsencrypt/live/{NAME}/{file}", (net.folder / its).read_text())
        machine.write("/etc/nginx/conf.d/smartscale-grpc.conf", OURS_FOR_GRPC.read_text())
        machine.write("/etc/headscale/config.yaml", f"unix_socket: {net.folder}/headscale.sock{_SERVER}")
        server = machine.start("server", ["headscale", "-c", "/etc/headscale/config.yaml", "serve"])
        made = Site(net, machine, certificate, server)
        wait_for(
            "alice is made",
            lambda: (
                (net.folder / "headscale.sock").exists() and not machine.run("headscale users create alice").returncode
            ),
            STARTUP,
        )
        made.key = json.loads(machine.run("headscale preauthkeys create --user alice --reusable -o json").stdout)["key"]
        for host in ("one", "two"):
            net.add_host(host)
        yield made
        assert "Traceback" not in server.text()
    finally:
        if made is not None:
            made.stop_proxy()
            made.server.stop()
        net.close()


def refusals(log: str, least: int) -> list[str] | None:
    """The lines that say whom the server sent away, when there are so many."""
    lines = [line for line in log.splitlines() if " refused " in line]
    return lines if len(lines) >= least else None


@pytest.mark.parametrize("whose", ["our", "guide"])
def test_clients_join_through_it_and_hear_of_each_other(site: Site, whose: str) -> None:
    if whose == "guide" and (reason := guide.missing()):
        pytest.skip(reason)
    site.proxy(OURS.read_text() if whose == "our" else guide.nginx())
    one, two = (site.client(host, f"{whose}-{host}") for host in ("one", "two"))
    try:
        one.start()
        one.wait_running()
        viewer = site.node_id(one)
        two.start()
        two.wait_running()
        # Its map session was open before the other one came, so this is a delta's work. A packet before the other one
        # has told its relay would be sent again after five seconds only.
        wait_for("one hears of two and its relay", lambda: site.relays(viewer) == [999], 10)
        wait_for("one fetches from two", lambda: f"hello from {two.name}" in one.fetch(f"http://{two.name}/", 5), 20)
    finally:
        one.stop()
        two.stop()


def test_both_ways_into_the_tunnel_lead_through_tls(site: Site) -> None:
    site.proxy(OURS.read_text())
    done = site.machine.run([sys.executable, "-c", _TUNNELS])
    assert done.returncode == 0, done.stderr
    assert site.nginx is not None
    spoken = [line for line in site.nginx.text().splitlines() if "/ts2021" in line and '" 101 ' in line]
    assert any('"POST /ts2021' in line for line in spoken) and any('"GET /ts2021?' in line for line in spoken)


def test_port_80_passes_what_encrypts_itself_and_nothing_else(site: Site) -> None:
    site.proxy(OURS.read_text())
    seen = "curl -s -m 5 -o /dev/null -w '%{http_code} %{redirect_url}' "
    assert site.machine.run(f"{seen} http://{NAME}/key?v=130").stdout == f"301 {URL}/key?v=130"
    assert site.machine.run(f"{seen} -d '' http://{NAME}/ts2021").stdout.strip() == "400"


def test_administration_over_grpc_goes_through_a_port_of_its_own(site: Site) -> None:
    site.proxy(OURS.read_text())
    key = site.machine.run("headscale apikeys create").stdout.strip()
    asked = site.machine.run(
        f"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={site.certificate} HEADSCALE_CLI_ADDRESS={NAME}:50443 "
        f"HEADSCALE_CLI_API_KEY={key} headscale users list -o json"
    )
    assert asked.returncode == 0, asked.stderr
    assert [user["name"] for user in json.loads(asked.stdout)] == ["alice"]


def test_the_server_learns_the_clients_own_address_whatever_the_client_says(site: Site) -> None:
    site.proxy(OURS.read_text())
    own = json.loads(site.net.exec("one-nat", "ip", "-j", "-4", "addr", "show", "wan"))[0]["addr_info"][0]["local"]
    lies = [f"-H{name}: 203.0.113.9" for name in ("True-Client-IP", "X-Real-IP", "X-Forwarded-For")]
    ask = ["curl", "-s", "-m", "5", "--cacert", str(site.certificate), "--resolve", f"{NAME}:443:{SERVER_IP}", *lies]
    before = len(site.server.text())
    upgrade = ["-HConnection: upgrade", "-HUpgrade: tailscale-control-protocol", "-HX-Tailscale-Handshake: AAAA"]
    for headers in ([], upgrade):
        site.net.exec("one", "sh", "-c", '"$@" || true', "sh", *ask, *headers, "-d", "", f"{URL}/ts2021")
    said = wait_for("both are refused", lambda: refusals(site.server.text()[before:], 2), 5)
    assert [line for line in said if f"address={own}" not in line] == []
