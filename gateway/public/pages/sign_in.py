"""The pages of a sign-in: the button, the question whether the device is yours, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.public.pages.frame import page, reference_of
from gateway.public.pages.html import Html, html
from gateway.public.pages.refusals import ADVICE, TITLES


def by_buttons(auth_id: str, providers: Sequence[tuple[str, str]], what: str = "device") -> Html:
    """The way of a sign-in: a button for each provider, by name and label. It posts: only who presses it begins one.

    `what` is what waits: a device, or an SSH session.
    """
    paths = [(f"{auth_id}/{name}" if name else auth_id, label) for name, label in providers]
    buttons = "".join(html(_BUTTON, path=path, provider=label) for path, label in paths)
    return html(_BUTTONS, buttons=Html(buttons), what=what)


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


def refused_page(
    reason: str, text: str, reference: str, *, told: bool, again: Html | None, what: str = "device"
) -> Html:
    """Why it did not end well, and what to do; `again` leads back to what still waits."""
    said = text.rstrip(".")
    waits = html(_WAITS, what=what) if again is not None else html("")
    body = html(
        _REFUSED,
        text=f"{said[:1].upper()}{said[1:]}.",
        device=html(_TOLD, what=what) if told else waits,
        advice=html("<p>{advice}</p>", advice=ADVICE[reason]) if reason in ADVICE else html(""),
        then=html(_ANEW if what == "device" else _ANEW_SSH) if again is None else again,
        reference=reference_of(reason, reference),
    )
    return page(TITLES.get(reason, "Sign-in did not work"), body)


def again_link(auth_id: str, what: str = "device") -> Html:
    """Back to the page of what waits."""
    link = '<p><a href="/register/{auth_id}">Try again from the {what}\'s page</a></p>'
    return html(link, auth_id=auth_id, what=what)


def lost_page(reference: str = "") -> Html:
    """The browser that comes back is not the one that went, or it took too long."""
    return page("This sign-in is not under way here", html(_LOST, reference=reference_of(reference)))


def busy_page(auth_id: str) -> Html:
    """Too many sign-ins begin where this browser is."""
    again, reference = html(_BACK, auth_id=auth_id), reference_of(auth_id)
    return page("Too many sign-ins at once", html(_BUSY, again=again, reference=reference))


def unreachable_page(provider: str, text: str, auth_id: str) -> Html:
    """The provider cannot be used now."""
    reference = reference_of(text.partition(":")[0], auth_id)
    body = html(_UNREACHABLE, provider=provider, again=html(_BACK, auth_id=auth_id), reference=reference)
    return page("The identity provider cannot be reached", body)


_BUTTON = """<form method="post" action="/oidc/start/{path}">
<button type="submit">Log in with {provider}</button>
</form>
"""

_BUTTONS = """<section>
<h2>Sign in</h2>
{buttons}<p class="soft">You are sent to your identity provider and come back here to confirm the {what}.</p>
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

_REFUSED = """<p>{text} {device}</p>
<h2>What to do</h2>
{advice}
{then}
{reference}
"""

_TOLD = "The {what} was told so."
_WAITS = "The {what} still waits."
_ANEW = "<p>To try again, start anew at the device: it shows a new link.</p>"
_ANEW_SSH = "<p>To try again, open the SSH session again: it shows a new link.</p>"

_LOST = """<p>It was begun in another browser, took longer than a quarter of an hour, or this browser keeps no
cookies.</p>
<h2>What to do</h2>
<p>Open the link that the device shows once more, in one browser, and sign in from there. Nothing was changed.</p>
{reference}
"""

_BACK = '<p><a href="/register/{auth_id}">Back to the page before</a></p>'

_BUSY = """<p>Many people or devices where you are begin to sign in just now. What waits for you keeps waiting; try
again in a minute.</p>
{again}
{reference}
"""

_UNREACHABLE = """<p>{provider} does not answer as it should. What waits for you keeps waiting; try again in a
minute.</p>
{again}
{reference}
"""
