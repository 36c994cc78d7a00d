"""The pages of a pending login: the device, the ways to approve it, and what to do when the link is not valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.public.pages.frame import page, reference_of
from gateway.public.pages.html import Html, html, join
from services.shared.keys import MachineKey


@dataclass(frozen=True, slots=True)
class LoginView:
    """A pending login as its page shows it."""

    auth_id: str
    machine_key: MachineKey
    hostname: str
    os: str
    remote_address: str
    created_at: datetime
    expires_at: datetime
    decided: bool


def login_page(login: LoginView, now: datetime, ways: Sequence[Html]) -> Html:
    """Return the page of a device, with one section for each way to approve it."""
    if login.decided:
        return page("This device was already approved or refused", html(_DECIDED, device=device_of(login, now)))
    body = html(_LOGIN, device=device_of(login, now), ways=join(ways), left=minutes(login.expires_at - now))
    return page("Let this device in?", body)


def by_command(auth_id: str, command: str) -> Html:
    """Return a section with the command that an administrator runs; it begins with `command`."""
    return html(_BY_COMMAND, auth_id=auth_id, command=command)


def folded(way: Html) -> Html:
    """Return a section, folded because another one comes first."""
    outer = "<details><summary>An administrator can approve it on the command line too</summary>{inner}</details>"
    return html(outer, inner=way)


def unknown_page(server_url: str) -> Html:
    """Return the page of a link that is wrong, too old, or replaced by a newer one."""
    return page("This link is no longer valid", html(_UNKNOWN, server_url=server_url))


def unavailable_page(reference: str = "") -> Html:
    """Return the page for a server whose services are unavailable."""
    return page("Not available at the moment", html(_UNAVAILABLE, reference=reference_of(reference)))


def fingerprint(key: MachineKey) -> str:
    """Return the first 16 hexadecimal digits of a machine key in groups of 4, for people to compare."""
    digits = key.raw.hex()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def device_of(login: LoginView, now: datetime) -> Html:
    """Return a list of what is known about the device."""
    return html(
        _DEVICE,
        hostname=login.hostname or "(no name given)",
        os=login.os or "(not given)",
        fingerprint=fingerprint(login.machine_key),
        machine_key=login.machine_key,
        address=login.remote_address or "(not known)",
        when=f"{login.created_at:%Y-%m-%d %H:%M} UTC",
        ago=minutes(now - login.created_at),
    )


def minutes(span: timedelta) -> str:
    """Return a duration in minutes, for people."""
    whole = max(0, int(span.total_seconds() // 60))
    if whole < 1:
        return "less than a minute"
    return f"{whole} minute{'s' if whole > 1 else ''}"


_DEVICE = """<dl>
<dt>Name</dt><dd><bdi>{hostname}</bdi></dd>
<dt>System</dt><dd><bdi>{os}</bdi></dd>
<dt>Machine key</dt><dd><code>{fingerprint}</code> …
<details><summary>whole key</summary><code>{machine_key}</code></details></dd>
<dt>Connects from</dt><dd>{address}</dd>
<dt>Asked at</dt><dd>{when} ({ago} ago)</dd>
</dl>
"""

_LOGIN = """<p>A device asks to join this tailnet. The device itself states its name and system.</p>
{device}
{ways}
<p class="soft">Approve it only if you started this sign-in yourself or know who did: the device may connect to
everything that its owner may connect to. The request expires in {left}. Opening or reloading this page changes
nothing.</p>
"""

_BY_COMMAND = """<section>
<h2>Approve it on the command line</h2>
<p>An administrator of this server runs, with the name of the device's owner in place of USERNAME:</p>
<pre>{command} auth register --auth-id {auth_id} --user USERNAME</pre>
<p class="soft"><code>{command} users list</code> shows the names.
<code>{command} auth reject --auth-id {auth_id}</code> refuses the device.</p>
</section>
"""

_DECIDED = """<p>The device has the answer; you can close this page.</p>
{device}
"""

_UNKNOWN = """<p>It is mistyped or expired, or the device has a newer one.</p>
<h2>What to do</h2>
<ol>
<li>Check the device: if it is waiting for you, it shows a new link. Open that one.</li>
<li>If it shows none, start again on the device:
<pre>tailscale up --login-server {server_url}</pre></li>
</ol>
"""

_UNAVAILABLE = """<p>The server cannot find this request at the moment. The device keeps waiting; reload this page in
a few seconds.</p>
{reference}
"""
