"""The commands that stay: serve and mockoidc, started, asked and stopped as programs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from services.shared.config import load
from tests.fakes.ports import free_port
from tests.flow.cli.world import PROGRAM

USERS = '[{"Subject": "s1", "Email": "alice@example.com", "EmailVerified": true, "Groups": ["dev"]}]'


@asynccontextmanager
async def running(folder: Path, *words: str, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *words, cwd=folder, env={"HOME": str(folder), "PATH": os.environ["PATH"], **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    async with running(folder, *words, **env) as process, asyncio.timeout(120):
        out, _ = await process.communicate()
    assert b"Traceback" not in out, out.decode()
    return process.returncode or 0, out.decode()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(120):
        while words not in seen:
            line = await process.stdout.readline()
            assert line, seen
            seen += line.decode()
    return seen


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"server_url: http://127.0.0.1:8080\nlisten_addr: 127.0.0.1:{free_port()}\nstate_dir: {tmp_path}\n"
        f"derp: {{server: {{listen_addr: '127.0.0.1:{free_port()}', stun_listen_addr: '127.0.0.1:{free_port()}'}}}}\n"
        'metrics_listen_addr: ""\ngrpc_listen_addr: ""\n'
    )
    return path


def more(config: Path, text: str) -> None:
    config.write_text(config.read_text() + text)


async def test_serve_serves_until_it_is_asked_to_end(tmp_path: Path, config: Path) -> None:
    here = ("-c", str(config))
    async with running(tmp_path, *here, "serve") as server:
        await said(server, "ready")
        assert await run(tmp_path, *here, "health") == (0, "ok\n")
        assert (await run(tmp_path, *here, "users", "create", "alice"))[0] == 0
        second = await run(tmp_path, *here, "serve")
        assert second[0] == 1 and "cannot start" in second[1]
        assert await run(tmp_path, *here, "health") == (0, "ok\n"), "the first goes on"
        server.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await server.wait() == 0
    status, text = await run(tmp_path, *here, "health")
    assert status == 1 and "no server answers" in text


async def test_a_policy_is_mended_while_no_server_runs(tmp_path: Path, config: Path) -> None:
    more(config, "policy: {mode: database}\n")
    here = ("-c", str(config))
    flag = "--bypass-grpc-and-access-database-directly"
    policy = tmp_path / "policy.hujson"
    policy.write_text('{"acls": []}\n')
    status, text = await run(tmp_path, *here, "policy", "set", str(policy), flag, "--force")
    assert status == 1 and f"headscale -c {config} serve" in text
    async with running(tmp_path, *here, "serve") as server:
        await said(server, "ready")
        server.send_signal(signal.SIGTERM)
        await server.wait()
    assert (await run(tmp_path, *here, "policy", "set", str(policy), flag, "--force"))[0] == 0
    assert await run(tmp_path, *here, "policy", "get", flag) == (0, '{"acls": []}\n')
    async with running(tmp_path, *here, "serve") as server:
        await said(server, "ready")
        assert await run(tmp_path, *here, "policy", "get") == (0, '{"acls": []}\n')


async def test_mockoidc_signs_in_as_a_provider_does(tmp_path: Path) -> None:
    port = free_port()
    env = {
        "MOCKOIDC_CLIENT_ID": "hs", "MOCKOIDC_CLIENT_SECRET": "s", "MOCKOIDC_ADDR": "127.0.0.1",
        "MOCKOIDC_PORT": str(port), "MOCKOIDC_USERS": USERS,
    }  # fmt: skip
    issuer, back = f"http://127.0.0.1:{port}/oidc", "http://127.0.0.1:9/oidc/callback"
    async with running(tmp_path, "mockoidc", **env) as provider, httpx.AsyncClient(trust_env=False) as browser:
        await said(provider, "development only")
        document = await described(browser, issuer)
        assert document["issuer"] == issuer
        query = {
            "client_id": "hs", "redirect_uri": back, "response_type": "code", "scope": "openid", "state": "x",
            "nonce": "n", "code_challenge": "verify", "code_challenge_method": "plain",
        }  # fmt: skip
        sent = await browser.get(document["authorization_endpoint"], params=query)
        answer = parse_qs(urlsplit(sent.headers["location"]).query)
        assert (sent.status_code, answer["state"]) == (302, ["x"])
        form = {"grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": back}
        stranger = await browser.post(document["token_endpoint"], data=form, auth=("hs", "wrong"))
        assert stranger.status_code == 401
        form["code_verifier"] = "verify"
        tokens = (await browser.post(document["token_endpoint"], data=form, auth=("hs", "s"))).json()
        again = await browser.post(document["token_endpoint"], data=form, auth=("hs", "s"))
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        person = (await browser.get(document["userinfo_endpoint"], headers=bearer)).json()
        assert (person["sub"], person["groups"]) == ("s1", ["dev"])
        assert (await browser.get(document["userinfo_endpoint"])).status_code == 401
        provider.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await provider.wait()


async def described(browser: httpx.AsyncClient, issuer: str) -> dict[str, str]:
    async with asyncio.timeout(60):
        while True:
            try:
                return dict((await browser.get(f"{issuer}/.well-known/openid-configuration")).json())
            except httpx.TransportError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"MOCKOIDC_PORT": "many"}, "not a port"),
        ({"MOCKOIDC_USERS": "{"}, "not JSON"),
        ({"MOCKOIDC_USERS": '[{"Email": "a@b.c"}]'}, "each needs a Subject"),
        ({"MOCKOIDC_USERS": '{"a": 1}'}, "not a list"),
        ({"MOCKOIDC_ACCESS_TTL": "soon"}, "not a duration"),
        ({"MOCKOIDC_CLIENT_ID": ""}, "MOCKOIDC_CLIENT_ID not defined"),
    ],
)
async def test_mockoidc_says_what_is_wrong_with_its_settings(tmp_path: Path, change: dict[str, str], text: str) -> None:
    env = {
        "MOCKOIDC_CLIENT_ID": "hs", "MOCKOIDC_CLIENT_SECRET": "s", "MOCKOIDC_ADDR": "127.0.0.1",
        "MOCKOIDC_PORT": "1", "MOCKOIDC_USERS": USERS, **change,
    }  # fmt: skip
    status, told = await run(tmp_path, "mockoidc", **env)
    assert status == 2 and text in told


async def test_what_dumpconfig_prints_is_a_configuration(tmp_path: Path, config: Path) -> None:
    more(config, "services: {token: hidden-from-all}\noidc: {extra_params: {login_token: hidden-as-well}}\n")
    status, text = await run(tmp_path, "-c", str(config), "dumpConfig")
    assert status == 0 and "hidden" not in text
    (tmp_path / "dumped.yaml").write_text(text)
    assert load(tmp_path / "dumped.yaml", {}).state_dir == tmp_path
