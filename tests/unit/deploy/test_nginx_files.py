"""The files for nginx agree with the configuration's defaults, and each door passes on the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.shared.config import Config, GatewayConfig
from services.shared.config.environment import keys

NGINX = Path(__file__).parents[3] / "deploy" / "nginx"
FILES = sorted(NGINX.glob("*.conf"))
MAIN = (NGINX / "smartscale.conf").read_text()


def doors(text: str) -> list[set[str]]:
    """What stands in each location that leads to the gateway, without comments."""
    blocks = re.findall(r"location [^{]*\{(.*?)\n    \}", text, re.DOTALL)
    lines = [[line.strip() for line in block.splitlines()] for block in blocks]
    return [{line for line in block if line and line[0] != "#"} for block in lines if "proxy_pass" in " ".join(block)]


def test_the_gateway_is_where_the_configuration_has_it() -> None:
    assert f"    server {Config().listen_addr};" in MAIN


def test_both_doors_pass_on_the_same() -> None:
    tls, plain = doors(MAIN)
    assert tls ^ plain == {"client_max_body_size 0;"}


def test_no_open_session_is_cut_between_two_signs_of_life() -> None:
    silent = max(GatewayConfig().keepalive_interval, GatewayConfig().check_interval)
    for door in doors(MAIN):
        hours = [re.fullmatch(r"proxy_(?:read|send)_timeout (\d+)h;", line) for line in door]
        limits = [int(found[1]) * 3600 for found in hours if found]
        assert len(limits) == 2 and min(limits) > 2 * silent.total_seconds()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_it_says_of_the_configuration_has_such_keys(file: Path) -> None:
    said = set(re.findall(r"^#(?: In config.yaml:)? {2,}(\w+): ", file.read_text(), re.MULTILINE))
    assert said and said <= {path[0] for path, _ in keys()}
