"""The pages of an SSH session that waits for its owner: the session, the ways to approve it, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.public.pages.frame import page
from gateway.public.pages.html import Html, html, join
from gateway.public.pages.login import minutes


@dataclass(frozen=True, slots=True)
class SshView:
    """An SSH session as its page shows it."""

    auth_id: str
    source: str
    owner: str
    destination: str
    local_user: str
    created_at: datetime
    expires_at: datetime
    decided: bool


def ssh_page(session: SshView, now: datetime, ways: Sequence[Html]) -> Html:
    """Return the page of a session, with one section for each way to approve it."""
    if session.decided:
        return page(
            "This SSH session was already approved or refused", html(_DECIDED, session=session_of(session, now))
        )
    left = minutes(session.expires_at - now)
    body = html(_SESSION, session=session_of(session, now), owner=session.owner, ways=join(ways), left=left)
    return page("Allow this SSH session?", body)


def unknown_page() -> Html:
    """Return the page of a link that is wrong, or whose session was decided or has expired."""
    return page("This link is no longer valid", html(_UNKNOWN))


def by_command(auth_id: str, command: str) -> Html:
    """Return a section with the command that an administrator runs; it begins with `command`."""
    return html(_BY_COMMAND, auth_id=auth_id, command=command)


def confirm_page(flow_id: str, user: str, session: Html, confirmation: str) -> Html:
    """Return the page that asks whether the person opened the session."""
    body = html(_CONFIRM, flow_id=flow_id, user=user, session=session, confirmation=confirmation)
    return page("Did you open this SSH session?", body)


def done_page(session: Html) -> Html:
    """Return the page of an allowed session."""
    return page("The SSH session is allowed", html(_DONE, session=session))


def session_of(session: SshView, now: datetime) -> Html:
    """Return a list of what is known about the session."""
    return html(
        _DETAILS,
        source=session.source,
        owner=session.owner,
        destination=session.destination,
        local_user=session.local_user or "(not given)",
        when=f"{session.created_at:%Y-%m-%d %H:%M} UTC",
        ago=minutes(now - session.created_at),
    )


_DETAILS = """<dl>
<dt>From</dt><dd><bdi>{source}</bdi>, of <bdi>{owner}</bdi></dd>
<dt>To</dt><dd><bdi>{destination}</bdi></dd>
<dt>As user</dt><dd><bdi>{local_user}</bdi></dd>
<dt>Opened at</dt><dd>{when} ({ago} ago)</dd>
</dl>
"""

_SESSION = """<p>A machine wants to open an SSH session, and the policy of this tailnet requires the approval of
its owner.</p>
{session}
{ways}
<p class="soft">Only <bdi>{owner}</bdi> can approve it, and should do so only after opening it. The request expires in
{left}. Opening or reloading this page changes nothing.</p>
"""

_BY_COMMAND = """<section>
<h2>Approve it on the command line</h2>
<p>An administrator of this server runs:</p>
<pre>{command} auth approve --auth-id {auth_id}</pre>
<p class="soft"><code>{command} auth reject --auth-id {auth_id}</code> refuses the session.</p>
</section>
"""

_DECIDED = """<p>The terminal has the answer; you can close this page.</p>
{session}
"""

_CONFIRM = """<p>You are signed in as <strong><bdi>{user}</bdi></strong>. If you approve, the session starts, and others
from the same machine start without a question for as long as the policy allows.</p>
{session}
<form method="post" action="/oidc/confirm/{flow_id}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit" name="answer" value="yes">Yes, allow it</button>
<button type="submit" name="answer" value="no" class="second">No, refuse it</button>
</form>
<p class="soft">Refuse it if you did not open it yourself: somebody else may be using your machine.</p>
"""

_DONE = """<p>Go back to your terminal. You can close this page.</p>
{session}
"""

_UNKNOWN = """<p>It is mistyped or expired, or the SSH session has ended.</p>
<h2>What to do</h2>
<p>Open the SSH session again: the terminal shows a new link. Open that one.</p>
"""
