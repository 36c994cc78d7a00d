"""The pages of a sign-in: the buttons of the providers, the confirmation, and the result."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.public.pages.frame import page, reference_of
from gateway.public.pages.html import Html, html, join
from gateway.public.pages.refusals import ADVICE, TITLES


def by_buttons(auth_id: str, providers: Sequence[tuple[str, str]], what: str = "device") -> Html:
    """Return a section with a button for each provider, given as (name, label). It posts, so no preview starts one.

    `what` is what the sign-in is for: "device" or "session".
    """
    paths = [(f"{auth_id}/{name}" if name else auth_id, label) for name, label in providers]
    buttons = "".join(html(_BUTTON, path=path, provider=label) for path, label in paths)
    return html(_BUTTONS, buttons=Html(buttons), what=what)


def confirm_page(flow_id: str, user: str, device: Html, confirmation: str, notices: Sequence[str] = ()) -> Html:
    """Return the page that asks whether the device is the person's; `notices` lists ignored claims."""
    body = html(
        _CONFIRM,
        flow_id=flow_id,
        user=user,
        device=device,
        confirmation=confirmation,
        notices=notices_of(notices),
    )
    return page("Is this your device?", body)


def done_page(user: str, device: Html, notices: Sequence[str] = ()) -> Html:
    """Return the page of an admitted device."""
    return page("Your device is connected", html(_DONE, user=user, device=device, notices=notices_of(notices)))


def notices_of(notices: Sequence[str]) -> Html:
    """Return the claims of the provider that were ignored, folded; empty if there are none."""
    items = join([html("<li>{text}</li>", text=text) for text in notices])
    return html(_NOTICES, items=items) if notices else html("")


def waiting_page() -> Html:
    """Another request of this browser is being checked; the page reloads by itself."""
    return page("One moment", html(_WAITING))


def refused_page(
    reason: str,
    text: str,
    reference: str,
    *,
    final: bool,
    again: Html | None,
    what: str = "device",
    account: str = "",
) -> Html:
    """Why the sign-in was refused, and what to do.

    `final`: the device was refused too; `again` leads back to a device that still waits, and `account` is the
    one that was used.
    """
    sentence = text.rstrip(".")
    waits = html(_WAITS, what=what) if again is not None else html("")
    body = html(
        _REFUSED,
        text=f"{sentence[:1].upper()}{sentence[1:]}.",
        account=html(_ACCOUNT, account=account) if account else html(""),
        device=html(_INFORMED, what=what) if final else waits,
        advice=html("<p>{advice}</p>", advice=ADVICE[reason]) if reason in ADVICE else html(""),
        then=html(_RESTART if what == "device" else _RESTART_SSH) if again is None else again,
        reference=reference_of(reason, reference),
    )
    return page(TITLES.get(reason, "Sign-in did not work"), body)


def again_link(auth_id: str, what: str = "device") -> Html:
    """Return a link to the page of the device or session that waits."""
    link = '<p><a href="/register/{auth_id}">Try again from the {what}\'s page</a></p>'
    return html(link, auth_id=auth_id, what=what)


def lost_page(reference: str = "") -> Html:
    """Return the page for an answer that came too late, or in another browser than the sign-in began in."""
    return page("This sign-in did not start in this browser", html(_LOST, reference=reference_of(reference)))


def busy_page(auth_id: str) -> Html:
    """Too many sign-ins start from this network."""
    again, reference = html(_BACK, auth_id=auth_id), reference_of(auth_id)
    return page("Too many sign-ins at once", html(_BUSY, again=again, reference=reference))


def unreachable_page(provider: str, text: str, auth_id: str) -> Html:
    """Return the page for a provider that does not answer."""
    reference = reference_of(text.partition(":")[0], auth_id)
    body = html(_UNREACHABLE, provider=provider, again=html(_BACK, auth_id=auth_id), reference=reference)
    return page("The identity provider cannot be reached", body)


_BUTTON = """<form method="post" action="/oidc/start/{path}">
<button type="submit">Login with {provider}</button>
</form>
"""

_BUTTONS = """<section>
<h2>Sign in</h2>
{buttons}<p class="soft">Your identity provider signs you in; then you confirm the {what} here.</p>
</section>
"""

_CONFIRM = """<p>You are signed in as <strong><bdi>{user}</bdi></strong>. This device will belong to you and
may connect to everything that you may connect to. The device itself states its name and system.</p>
{notices}
{device}
<form method="post" action="/oidc/confirm/{flow_id}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit" name="answer" value="yes">Yes, connect my device</button>
<button type="submit" name="answer" value="no" class="second">No, this is not my device</button>
</form>
<p class="soft">If you are not sure, compare the machine key and the address: somebody may have sent you a link to
their device.</p>
"""

_DONE = """<p>It belongs to <strong><bdi>{user}</bdi></strong> now. You can close this page.</p>
{notices}
{device}
"""

_NOTICES = """<details><summary>Not everything that the provider sent was used</summary>
<ul>{items}</ul>
<p class="soft">An administrator finds the remedy in the log of the server.</p></details>
"""

_WAITING = """<p>Your sign-in is being checked. This page reloads in two seconds.</p>
"""

_REFUSED = """<p>{text} {device}</p>
{account}
<h2>What to do</h2>
{advice}
{then}
{reference}
"""

_ACCOUNT = "<p>You signed in as <strong><bdi>{account}</bdi></strong>.</p>"
_INFORMED = "The {what} shows this reason too."
_WAITS = "The {what} is still waiting."
_RESTART = "<p>To try again, start at the device: it shows a new link.</p>"
_RESTART_SSH = "<p>To try again, open the SSH session again: it shows a new link.</p>"

_LOST = """<p>It started in another browser, took longer than 15 minutes, or this browser does not keep
cookies.</p>
<h2>What to do</h2>
<p>Open the link that the device shows again and sign in from there, in one browser. Nothing was changed.</p>
{reference}
"""

_BACK = '<p><a href="/register/{auth_id}">Back to the page before</a></p>'

_BUSY = """<p>Many sign-ins are starting from your network. Your device keeps waiting; try again in a
minute.</p>
{again}
{reference}
"""

_UNREACHABLE = """<p>{provider} does not answer correctly. Your device keeps waiting; try again in a
minute.</p>
{again}
{reference}
"""
