"""Sign-in against a provider that others wrote (oidc-provider-mock), mounted so that its issuer lacks its path."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from services.shared.config.login import OidcConfig
from tests.fakes.tailnet import config_in, tailnet_in

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("oidc_provider_mock") is None, reason="oidc-provider-mock is not installed"),
]

APP = "/api/oidc/app-7f3c"


@pytest.fixture
def origin() -> Iterator[str]:
    import oidc_provider_mock
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.serving import make_server
    from werkzeug.wrappers import Response

    mounted = DispatcherMiddleware(Response("nothing here", 404), {APP: oidc_provider_mock.app()})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = make_server("127.0.0.1", port, mounted, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("path", "app_id"), [(APP, ""), ("", "app-7f3c")])
async def test_a_device_joins_by_it_under_the_issuer_without_a_path(
    origin: str, tmp_path: Path, path: str, app_id: str
) -> None:
    oidc = OidcConfig(issuer=origin + path, app_id=app_id, client_id="any", client_secret="any")
    config = replace(config_in(tmp_path), server_url="http://127.0.0.1:8080", oidc=oidc)
    async with tailnet_in(tmp_path, config) as tailnet:
        device = await tailnet.device("laptop").connect()
        url = (await device.register())["AuthURL"]
        waiting = asyncio.create_task(device.register(Followup=url))
        async with httpx.AsyncClient(base_url=tailnet.url) as browser, httpx.AsyncClient() as provider:
            started = await browser.post(urlsplit(url).path.replace("/register/", "/oidc/start/"))
            signed_in = await provider.post(started.headers["location"], data={"sub": "alice"})
            back = await browser.get("/oidc/callback?" + urlsplit(signed_in.headers["location"]).query)
            page = await browser.get(back.headers["location"])
            found = re.search(r'name="confirmation" value="([^"]+)"', page.text)
            assert found is not None, page.text
            await browser.post(back.headers["location"], data={"confirmation": found.group(1), "answer": "yes"})
        answer = await asyncio.wait_for(waiting, 10)
        assert answer["MachineAuthorized"]
        (user,) = (await tailnet.admin.ListNodes(_all_nodes())).nodes
        assert user.user.provider == "oidc" and user.user.provider_id == f"{origin}{APP}/alice"


def _all_nodes() -> object:
    from headscale.v1 import node_pb2

    return node_pb2.ListNodesRequest()
