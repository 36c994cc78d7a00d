"""`configtest` judges what a configuration names as the server that uses it would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.shell import Answer, Shell
from tests.fakes.tailnet import config_in, tailnet_in

BARE = '{"groups": {"group:a": ["ada"]}, "acls": [{"action": "accept", "src": ["ada", "group:a"], "dst": ["bob:22"]}]}'
PROVIDER = (
    '{"tagOwners": {"tag:x": ["group:dev"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}'
)
OIDC = "oidc: {issuer: 'https://idp.example.net', client_id: a, client_secret: b}\n"


async def configtest(folder: Path, policy: str, more: str = "") -> Answer:
    """Run the command on a configuration whose database and policy lie in a folder."""
    (folder / "policy.hujson").write_text(policy)
    (folder / "config.yaml").write_text(
        f"server_url: http://127.0.0.1:8080\nstate_dir: {folder}\nderp: {{paths: [derp.yaml]}}\n"
        f"database: {{sqlite: {{path: db.sqlite}}}}\npolicy: {{mode: file, path: policy.hujson}}\n{more}"
    )
    (folder / "derp.yaml").write_text("regions: {900: {nodes: [{hostname: relay.example}]}}\n")
    return await Shell(folder)("-c", "config.yaml", "configtest")


async def test_names_without_an_at_are_users_of_the_database(tmp_path: Path) -> None:
    before = await configtest(tmp_path, BARE)
    assert before.status == 1 and 'host not defined in policy: "ada"' in before.err, before
    async with tailnet_in(tmp_path, config_in(tmp_path)) as tailnet:
        await tailnet.user("ada")
        only_one = await configtest(tmp_path, BARE)
        assert only_one.status == 1 and '"bob"' in only_one.err and '"ada"' not in only_one.err, only_one
        await tailnet.user("bob")
        assert (await configtest(tmp_path, BARE)).status == 0, "also beside the running server"
    assert (await configtest(tmp_path, BARE)).status == 0


async def test_groups_of_a_provider_are_known_where_one_is_configured(tmp_path: Path) -> None:
    assert 'group not defined in policy: "group:dev"' in (await configtest(tmp_path, PROVIDER)).err
    assert (await configtest(tmp_path, PROVIDER, OIDC)).status == 0


@pytest.mark.parametrize("url", ["file:///etc/derp.yaml", "/etc/derp.yaml", "derp.example.net/map.json"])
async def test_an_address_of_relays_that_is_none_is_left_out(tmp_path: Path, url: str) -> None:
    (tmp_path / "config.yaml").write_text(
        f"server_url: http://127.0.0.1:8080\nstate_dir: .\nderp: {{server: {{enabled: false}}, urls: ['{url}']}}\n"
    )
    answer = await Shell(tmp_path)("-c", "config.yaml", "configtest")
    assert answer.status == 1 and "configures no relay" in answer.err
    assert f'derp.urls has "{url}"' in answer.err and "derp.paths" in answer.err


async def test_each_fault_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite").mkdir()
    answer = await configtest(tmp_path, "{}")
    assert answer.status == 1 and answer.err.count("database.sqlite.path") == 1, answer
