"""The files of deploy/ and docker-compose.yml agree with the configuration and with each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.frame.parser import root as command_line
from cli.server.server import PROCESSES
from services.shared.config import Config, ConfigError, load
from services.shared.config.stack import check_stack

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "configs" in service and "build" in service}
GIVEN = {"SERVICES_TOKEN": "0123456789abcdef", "POSTGRES_PASSWORD": "passw0rd"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")


def environment(**given: str) -> dict[str, str]:
    """What the processes of the stack are given, when the operator gives this."""
    return {
        name: _VARIABLE.sub(lambda match: given.get(match[1]) or (match[3] if match[2] == "-" else ""), value)
        for name, value in COMPOSE["x-smartscale"]["environment"].items()
    }


def stack(**given: str) -> Config:
    """The configuration of the stack."""
    return load(ROOT / "deploy" / "docker" / "stack.yaml", environment(**{**GIVEN, **given}))


def test_the_stack_has_a_service_for_each_process() -> None:
    assert {service["command"][-1] for service in OURS.values()} == set(PROCESSES)
    assert all(service["command"] == ["serve", name] for name, service in OURS.items())


def test_the_configuration_of_the_stack_is_whole() -> None:
    config = stack()
    check_stack(config)
    assert config.services.token == "0123456789abcdef" and config.database.postgres.password == "passw0rd"
    (doubt,) = config.warnings
    assert "database.postgres.ssl is off" in doubt  # the databases' network leads nowhere else
    asked = (config.services.registry, config.services.policy, config.services.auth, config.services.map_streamer)
    assert {address.partition(":")[0] for one in asked for address in one.addresses} <= set(OURS)


@pytest.mark.parametrize("token", ["x", "0123456789abcde", "a" * 64, "changeme" * 2, "abcabcabcabcabcabcabcabc"])
def test_a_token_that_can_be_guessed_is_refused_with_the_remedy(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_stack(stack(SERVICES_TOKEN=token))
    (problem,) = caught.value.problems
    assert problem.key == "services.token" and "openssl rand -hex 32" in problem.remedy
    assert token not in problem.what


def test_sign_in_is_off_in_the_stack_until_its_variables_are_given() -> None:
    assert not stack().oidc.in_use()
    given = {"OIDC_ISSUER": "https://idp.example", "OIDC_CLIENT_ID": "c", "OIDC_CLIENT_SECRET": "s"}
    assert list(stack(SERVER_URL="https://hs.example", **given).oidc.in_use()) == [""]


@pytest.mark.parametrize("name", ["auth", "map-streamer"])
def test_who_asks_others_outside_can_reach_them(name: str) -> None:
    internal = {network for network, settings in COMPOSE["networks"].items() if (settings or {}).get("internal")}
    assert set(OURS[name]["networks"]) - internal


@pytest.mark.parametrize("name", OURS)
def test_the_health_check_is_a_command_of_ours(name: str) -> None:
    kind, program, *words = OURS[name]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "headscale")
    assert command_line().parse_args(words).process in ("", name)


def test_every_process_is_scraped() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    targets = [target for group in jobs[0]["static_configs"] for target in group["targets"]]
    port = stack().metrics_listen_addr.rpartition(":")[2]
    assert sorted(targets) == sorted(f"{name}:{port}" for name in OURS)
