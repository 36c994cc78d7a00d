"""What the administrators' guide says, done as it says, with files and commands taken from its text."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import yaml

from tests.e2e import clients, guide, lab
from tests.e2e.alone import write_certificate
from tests.e2e.clients import Caddy, caddy_program
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, Lab, Process
from tests.e2e.machine import Machine
from tests.e2e.person import Person
from tests.e2e.providers import APP, Mock
from tests.e2e.waiting import STARTUP, wait_for

OWN = {
    "your-smartlink": "acme",
    "[appid]": "app-7f3c",
    "headscale-xxxxxx": "headscale-4f1c2a",
    "secret-xxxxxx": "secret-90be11",
}
"""What an administrator puts in place of the examples."""

TENANT = "acme.link.vaultys.org"
USER = {
    "name": "User",
    "preferred_username": "user",
    "email": "user@example.com",
    "email_verified": True,
    "groups": ["developers"],
}

NOT_RUN = {
    "curl -fsSL https://tailscale.com/install.sh | sh": "installs what others made, from outside",
    "brew install tailscale": "installs what others made, from outside",
    "tailscale status": "no registry has the client's own command line",
    "tailscale status --peers": "no registry has the client's own command line",
    "tailscale ip": "no registry has the client's own command line",
    "ping 100.64.0.2": "packaged clients have no interface of the kernel's",
    "ping machine-name.example.com.beta.tailscale.net": "packaged clients have no interface of the kernel's",
    "journalctl -u headscale -f": "no systemd in the lab",
    "pg_dump headscale > /backup/headscale.sql": "needs PostgreSQL: test_sign_in_stack.py runs it",
}


@dataclass
class Site:
    """A machine where the guide was followed up to the start of the server."""

    net: Lab
    machine: Machine
    certificate: Path
    backup: Path
    ran: set[str] = field(default_factory=set)
    server: Process | None = None

    @property
    def own(self) -> dict[str, str]:
        """What stands in place of the examples here."""
        return {**OWN, "/backup": str(self.backup)}

    def serve(self, config: str, **environment: str) -> Process:
        """Put the configuration in its place and start the server as the guide's compose file does."""
        self.machine.write("/etc/headscale/config.yaml", guide.filled_in(config, self.own))
        (command,) = [line for line in guide.commands() if line.endswith(" serve")]
        self.ran.add(command)
        if self.server is not None:
            self.server.stop()
        filled = {name: guide.filled_in(value, self.own) for name, value in environment.items()}
        self.server = self.machine.start(f"server-{len(environment)}", command.split(), filled)
        return self.server

    def healthy(self) -> bool:
        """Whether the server answers where its users call it."""
        assert self.server is not None and self.server.running(), self.server and self.server.text()[-3000:]
        return '"pass"' in self.machine.run("curl -s -m 2 https://headscale.example.com/health").stdout

    def do(self, command: str, values: dict[str, str] | None = None, **how: object) -> str:
        """Run a command of the guide; it must succeed."""
        assert command in guide.commands(), f"not in the guide: {command}"
        self.ran.add(command)
        line = guide.filled_in(command, {**self.own, **(values or {})})
        done = self.machine.run(line, folder=self.backup, **how)  # type: ignore[arg-type]
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, command: str) -> list[dict[str, object]]:
        """A command's answer as data."""
        return json.loads(self.machine.run(f"{command} -o json --modern").stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    reasons = [guide.missing(), lab.missing(), clients.missing(), Mock.missing()]
    for program in ("unshare", "nsenter", "script", "sqlite3", "openssl"):
        reasons.append(None if shutil.which(program) else f"the program {program} is not installed")
    if reason := next(filter(None, reasons), None):
        pytest.skip(reason)
    net = Lab(tmp_path_factory.mktemp("lab"))
    made = None
    try:
        certificate = write_certificate(net.folder, "headscale.example.com", TENANT)
        machine = Machine(net)
        machine.set(SSL_CERT_FILE=str(certificate), CURL_CA_BUNDLE=str(certificate))
        machine.write("/etc/hosts", f"127.0.0.1 localhost\n{SERVER_IP} headscale.example.com\n{PUBLIC_IP} {TENANT}\n")
        redirect = "https://headscale.example.com/oidc/callback"
        Mock(net, net.folder, redirect, {"user": USER}, (PUBLIC_IP, 443)).wait()
        proxy = net.folder / "proxy"
        proxy.write_text(
            "{\n admin off\n auto_https off\n}\nhttps://headscale.example.com {\n"
            f" bind {SERVER_IP}\n tls {certificate} {net.folder}/server.key\n reverse_proxy localhost:8080\n}}\n"
        )
        machine.start("proxy", [caddy_program(), "run", "--adapter", "caddyfile", "--config", str(proxy)])
        backup = tmp_path_factory.mktemp("backup")
        made = Site(net, machine, certificate, backup)
        yield made
    finally:
        if made is not None and made.server is not None:
            made.server.stop()
        net.close()


def test_examples_that_were_left_as_they_are_stop_the_start_by_name(site: Site) -> None:
    site.machine.write("/etc/headscale/config.yaml", guide.config())
    refused = site.machine.run("headscale configtest")
    assert refused.returncode != 0 and "placeholder" in refused.stderr and "oidc.issuer" in refused.stderr


def test_the_configuration_starts_and_a_client_joins_by_it(site: Site) -> None:
    server = site.serve(guide.config())
    wait_for("the server is healthy", site.healthy, STARTUP)
    (up,) = [line for line in guide.commands() if line.startswith("tailscale up")]
    site.ran.add(up)
    client = Caddy(site.net, "laptop", "laptop", up.split()[-1])
    site.net.add_host("laptop")
    client.extra["SSL_CERT_FILE"] = str(site.certificate)
    client.through = tuple(site.machine.files)
    client.start()
    person = Person(site.net, through=tuple(site.machine.files))
    link = client.sign_in_url()
    assert "Login with OIDC" in person.look(link)
    question = person.come_back(person.sign_in(person.press(link), "user"))
    person.confirm(question, person.look(question))
    client.wait_running()
    assert "Traceback" not in server.text()
    for old in ("db_type is now", "dns_config.magic_dns is now", "ip_prefixes is now"):
        assert len(re.findall(old, server.text())) == 1


def test_the_policy_and_the_lists(site: Site) -> None:
    acls = guide.acls()
    (site.backup / "acls.yaml").write_text(acls)
    site.do("headscale acls set acls.yaml")
    assert site.do("headscale acls show").strip() == acls.strip()
    assert "user@example.com" in site.do("headscale users list")
    assert "laptop" in site.do("headscale machines list")
    shown = site.do("headscale users show user@example.com")
    assert "user@example.com" in shown
    site.do("headscale routes list")
    assert site.do("headscale preauthkeys create --user user@example.com").startswith("hskey-auth-")


def test_the_checks_of_its_troubleshooting(site: Site) -> None:
    discovery, info = [line for line in guide.commands() if "/api/oidc/" in line]
    described = json.loads(site.do(discovery))
    assert described["issuer"] == f"https://{TENANT}" and APP in described["token_endpoint"]
    person = Person(site.net, through=tuple(site.machine.files))
    callback = "https://headscale.example.com/oidc/callback"
    asked = {"client_id": "x", "response_type": "code", "redirect_uri": callback, "scope": "openid email groups"}
    back = person.sign_in(f"{described['authorization_endpoint']}?{urlencode(asked)}", "user")
    code = parse_qs(urlsplit(back).query)["code"][0]
    form = urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": callback})
    token = json.loads(site.machine.run(f"curl -s -u x:y -d '{form}' {described['token_endpoint']}").stdout)
    assert json.loads(site.do(info, {"TOKEN": token["access_token"]}))["groups"] == ["developers"]
    assert "BEGIN CERTIFICATE" in site.do("openssl s_client -connect headscale.example.com:443 -showcerts")


def test_the_backup(site: Site) -> None:
    for command in guide.commands():
        if command.startswith(("sqlite3", "cp")):
            site.do(command)
    counted = site.machine.run(["sqlite3", str(site.backup / "headscale.db"), "select count(*) from registry_nodes"])
    assert counted.stdout.strip() == "1", counted.stderr
    assert (site.backup / "headscale-config" / "config.yaml").read_text() == guide.filled_in(guide.config(), site.own)


def test_the_rotation_of_keys_and_the_end_of_a_machine(site: Site) -> None:
    (node,) = site.json("headscale machines list")
    site.do("headscale nodes key rotate --id NODE_ID", {"NODE_ID": str(node["id"])})
    site.do("headscale machines delete --id MACHINE_ID", {"MACHINE_ID": str(node["id"])}, terminal=True, stdin="y\n")
    assert not site.json("headscale machines list")


def test_the_environment_alone_signs_people_in(site: Site) -> None:
    assert guide.compose_environment().items() < guide.environment().items()
    without_oidc = re.sub(r"^oidc:\n(?:#.*\n|  .*\n|\n)+", "", guide.config(), flags=re.MULTILINE)
    assert "oidc" not in without_oidc
    site.serve(without_oidc, **guide.environment(), HEADSCALE_OIDC_APP_ID=OWN["[appid]"])
    wait_for("the server is healthy", site.healthy, STARTUP)
    auth_id = "hskey-authreq-" + os.urandom(12).hex()
    asked = f"headscale debug create-node -k {auth_id} --name desk -u user@example.com"
    assert site.machine.run(asked).returncode == 0
    person = Person(site.net, through=tuple(site.machine.files))
    there = person.press(f"https://headscale.example.com/register/{auth_id}")
    question = person.come_back(person.sign_in(there, "user"))
    assert "user@example.com" in person.look(question)


def test_the_environment_without_the_app_id_says_what_is_missing(site: Site) -> None:
    server = site.serve(guide.config(), **guide.environment())
    wait_for("the hint", lambda: "SmartLink's issuer has the App ID in its path" in server.text() or None, STARTUP)
    server.kill()
    assert "ready" not in server.text() and "Traceback" not in server.text()


def test_the_chapter_on_namespaces_fits_into_the_configuration(site: Site) -> None:
    both = yaml.safe_load(guide.filled_in(guide.config(), OWN))
    both["oidc"] |= yaml.safe_load(guide.more_config())["oidc"]
    site.machine.write("/etc/headscale/config.yaml", yaml.safe_dump(both, sort_keys=False))
    tested = site.machine.run("headscale configtest")
    assert tested.returncode == 0, tested.stderr
    shown = json.loads(site.machine.run("headscale dumpConfig -o json").stdout)["oidc"]
    assert (shown["namespace_format"], shown["namespace_claim"]) == ("{email}", "department")


def test_nothing_of_it_is_left_out_without_a_reason(site: Site) -> None:
    assert set(guide.commands()) - site.ran == set(NOT_RUN)
