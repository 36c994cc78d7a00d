"""Nothing that could sign somebody in reaches a log, a span, a page or the database, when it ends well and when not."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.shared.config.login import OidcConfig
from services.shared.runtime.clock import SystemClock
from services.shared.telemetry import Telemetry
from services.shared.telemetry.logs import configure_logging
from tests.fakes.provider import CLIENT_ID, SECRET, provider_on_loopback
from tests.fakes.sign_in_pages import ALICE, PUBLIC, World, confirmation_of
from tests.fakes.tailnet import config_in, tailnet_in


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that the process logs, as it does when it is asked for everything."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, levels = (
        list(root.handlers),
        {name: logging.getLogger(name).level for name in ("", *root.manager.loggerDict)},
    )
    configure_logging("trace", "json", stream)
    yield stream
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def stored_in(folder: Path) -> str:
    return b"".join(path.read_bytes() for path in folder.glob("db.sqlite*")).decode("latin-1")


async def test_no_token_code_state_or_secret_is_told_anywhere(tmp_path: Path, written: io.StringIO) -> None:
    spans, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = replace(Telemetry(), tracer=tracing.get_tracer("test"))
    pages: list[str] = []
    secrets: set[str] = {SECRET}
    auth_ids: set[str] = set()
    async with provider_on_loopback(SystemClock()) as provider:
        provider.person = dict(ALICE)
        oidc = OidcConfig(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET)
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config, telemetry) as tailnet:
            world = World(tailnet, provider)
            twists: tuple[dict[str, Any], ...] = ({}, {"aud": "somebody-else"}, {"nonce": "x"}, {"at_hash": "y"})
            for number, twist in enumerate(twists):
                provider.claims = twist
                _, path, waiting = await world.wait(f"laptop-{number}")
                auth_ids.add(path.rpartition("/")[2])
                async with world.browser() as browser:
                    pages.append((await browser.get(path)).text)
                    started = await browser.post(path.replace("/register/", "/oidc/start/"))
                    asked = parse_qs(urlsplit(started.headers["location"]).query)
                    back = provider.authorize(started.headers["location"])
                    secrets |= {back["code"], back["state"], asked["nonce"][0], *browser.cookies.values()}
                    where = (await browser.get("/oidc/callback", params=back)).headers["location"]
                    page = await browser.get(where)
                    pages.append(page.text)
                    if not twist:
                        form = {"confirmation": confirmation_of(page), "answer": "yes"}
                        await browser.post(where, data=form)
                        pages.append((await browser.get(where)).text)
                        await waiting
                waiting.cancel()
            secrets |= set(provider.issued)
            stored = stored_in(tmp_path)
    told = written.getvalue()
    seen = [f"{span.name} {dict(span.attributes or {})} {span.status.description} {span.events}" for span in
            spans.get_finished_spans()]  # fmt: skip
    assert len(secrets) > 16 and len(provider.issued) == 8 and pages and seen and "sign-in refused" in told
    for where_, text in (("log", told), ("span", "".join(seen)),
                         ("page", "".join(pages)), ("database", stored)):  # fmt: skip
        assert [secret for secret in secrets if secret in text] == [], where_
    assert len(auth_ids) == 4 and not [one for one in auth_ids if one in told or one in "".join(seen)]
    assert all(one[:22] in told for one in auth_ids)
