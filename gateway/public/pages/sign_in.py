"""The pages of a sign-in: the button, the question whether the device is yours, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.public.pages.frame import page
from gateway.public.pages.html import Html, html

TITLES = {
    "access-denied": "The provider said no",
    "domain-not-allowed": "This account may not enter",
    "user-not-allowed": "This account may not enter",
    "group-not-allowed": "This account may not enter",
    "namespace-missing": "This account belongs to nothing here",
    "email-unverified": "This account may not enter",
    "email-missing": "This account may not enter",
    "groups-missing": "The provider did not name your groups",
    "groups-elsewhere": "The provider did not name your groups",
    "user-unknown": "You have no user here yet",
    "user-suspended": "This user is suspended",
    "device-not-mine": "The device was turned away",
    "login-over": "The device's request is over",
    "login-decided": "The device was decided already",
    "provider-unreachable": "The identity provider cannot be reached",
}


def by_buttons(auth_id: str, providers: Sequence[tuple[str, str]]) -> Html:
    """The way of a sign-in: a button for each provider, by name and label. It posts: only who presses it begins one."""
    paths = [(f"{auth_id}/{name}" if name else auth_id, label) for name, label in providers]
    buttons = "".join(html(_BUTTON, path=path, provider=label) for path, label in paths)
    return html(_BUTTONS, buttons=Html(buttons))


def confirm_page(flow_id: str, user: str, device: Html, confirmation: str) -> Html:
    """Whether the device is the person's own."""
    body = html(_CONFIRM, flow_id=flow_id, user=user, device=device, confirmation=confirmation)
    return page("Is this your device?", body)


def done_page(user: str, device: Html) -> Html:
    """The device is in."""
    return page("Your device is connected", html(_DONE, user=user, device=device))


def waiting_page() -> Html:
    """Another request of the same browser checks just now; the page asks again by itself."""
    return page("One moment", html(_WAITING))


def refused_page(reason: str, text: str, reference: str, *, told: bool, again: Html) -> Html:
    """Why it did not end well, and what to do."""
    device = _TOLD if told else _WAITS
    body = html(_REFUSED, text=f"{text[:1].upper()}{text[1:]}.", device=device, again=again)
    return page(TITLES.get(reason, "Sign-in did not work"), Html(body + html(_REFERENCE, reason=reason, at=reference)))


def again_link(auth_id: str) -> Html:
    """Back to the device's page."""
    return html('<p><a href="/register/{auth_id}">Try again from the device\'s page</a></p>', auth_id=auth_id)


def lost_page() -> Html:
    """The browser that comes back is not the one that went, or it took too long."""
    return page("This sign-in is not under way here", html(_LOST))


def busy_page(auth_id: str) -> Html:
    """Too many sign-ins begin where this browser is."""
    return page("Too many sign-ins at once", html(_BUSY, again=again_link(auth_id)))


def unreachable_page(provider: str, text: str, auth_id: str) -> Html:
    """The provider cannot be used now."""
    body = html(_UNREACHABLE, provider=provider, again=again_link(auth_id))
    reason = text.partition(":")[0]
    return page("The identity provider cannot be reached", Html(body + html(_REASON, reason=reason)))


_BUTTON = """<form method="post" action="/oidc/start/{path}">
<button type="submit">Log in with {provider}</button>
</form>
"""

_BUTTONS = """<section>
<h2>Sign in</h2>
{buttons}<p class="soft">You are sent to your identity provider and come back here to confirm the device.</p>
</section>
"""

_CONFIRM = """<p>You are signed in as <strong><bdi>{user}</bdi></strong>. This device will be yours and reach what
you may reach. Name and system are what the device says of itself.</p>
{device}
<form method="post" action="/oidc/confirm/{flow_id}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit" name="answer" value="yes">Yes, connect my device</button>
<button type="submit" name="answer" value="no" class="second">No, this is not mine</button>
</form>
<p class="soft">Compare the machine key and the address when you are not sure: somebody may have sent you a link of
theirs.</p>
"""

_DONE = """<p>It belongs to <strong><bdi>{user}</bdi></strong> now. You can close this page.</p>
{device}
"""

_WAITING = """<p>Your sign-in is being checked. This page looks again by itself in two seconds.</p>
"""

_REFUSED = """<p>{text}</p>
<p>{device}</p>
{again}
"""

_TOLD = "The device was told that it is refused. To try again, start anew at the device."
_WAITS = "The device still waits."

_REFERENCE = """<p class="soft">When you ask the administrator, give this reference: <code>{reason}</code>
<code>{at}</code></p>
"""

_REASON = """<p class="soft">When you ask the administrator, give this reference: <code>{reason}</code></p>
"""

_LOST = """<p>It was begun in another browser, took longer than a quarter of an hour, or this browser keeps no
cookies.</p>
<h2>What to do</h2>
<p>Open the link that the device shows once more, in one browser, and sign in from there. Nothing was changed.</p>
"""

_BUSY = """<p>Many people or devices where you are begin to sign in just now. The device keeps waiting; try again in a
minute.</p>
{again}
"""

_UNREACHABLE = """<p>{provider} does not answer as it should. The device keeps waiting; try again in a minute.</p>
{again}
"""
