"""Chromium without a window on a host of the lab, for a person in front of it who looks and presses."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.lab import PUBLIC_IP, SERVER_IP, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No names: providers' pages ask for fonts and styles from elsewhere.
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {SERVER_IP}, EXCLUDE {PUBLIC_IP}",
]
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder for pictures of the pages that tests see; none are taken without it."""

SIZES = {"light": (900, 800), "dark": (900, 800), "phone": (390, 844)}


def missing() -> str | None:
    """Why no browser can be run here, or None."""
    if not any(shutil.which(name) for name in _NAMES):
        return "Chromium is not installed"
    if importlib.util.find_spec("playwright") is None:
        return "not installed: playwright"
    return None


@contextmanager
def chromium(net: Lab, host: str) -> Iterator[Browser]:
    """A browser on a host; it is gone with all its processes at the end."""
    from playwright.sync_api import sync_playwright

    program = next(path for name in _NAMES if (path := shutil.which(name)))
    start = net.folder / "chromium.sh"
    start.write_text(f'#!/bin/sh\nexec ip netns exec {net.namespace(host)} {program} "$@"\n')
    start.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(start), args=_ARGUMENTS, env={**os.environ})
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person(browser: Browser, **settings: object) -> Iterator[BrowserContext]:
    """A browser's profile of its own, with scripts off on every page: ours need none, and nor do the providers'."""
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False, **settings)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    try:
        yield context
    finally:
        context.close()


def picture(page: Page, name: str) -> None:
    """Keep how the page looks in light, in dark and on a phone, when somebody wants to see."""
    if SCREENSHOTS is None:
        return
    Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for kind, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if kind == "dark" else "light")
        page.screenshot(path=f"{SCREENSHOTS}/{name}-{kind}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    if before is not None:
        page.set_viewport_size(before)
