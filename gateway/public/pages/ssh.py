"""The pages of an SSH session that waits for its owner: what it is, the ways to let it in, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.public.pages.frame import page
from gateway.public.pages.html import Html, html, join
from gateway.public.pages.login import minutes


@dataclass(frozen=True, slots=True)
class SshView:
    """What is shown of an SSH session."""

    auth_id: str
    source: str
    owner: str
    destination: str
    local_user: str
    created_at: datetime
    expires_at: datetime
    decided: bool


def ssh_page(session: SshView, now: datetime, ways: Sequence[Html]) -> Html:
    """The session, and one section for each way to let it in."""
    if session.decided:
        return page("This SSH session was decided", html(_DECIDED, session=session_of(session, now)))
    left = minutes(session.expires_at - now)
    body = html(_SESSION, session=session_of(session, now), owner=session.owner, ways=join(ways), left=left)
    return page("Let this SSH session begin?", body)


def unknown_page() -> Html:
    """The link is wrong, or nobody waits any more."""
    return page("This link is not valid any more", html(_UNKNOWN))


def by_command(auth_id: str) -> Html:
    """The way of the administrator's command line."""
    return html(_BY_COMMAND, auth_id=auth_id)


def confirm_page(flow_id: str, user: str, session: Html, confirmation: str) -> Html:
    """Whether the person opens the session."""
    body = html(_CONFIRM, flow_id=flow_id, user=user, session=session, confirmation=confirmation)
    return page("Did you open this SSH session?", body)


def done_page(session: Html) -> Html:
    """The session begins."""
    return page("The SSH session begins", html(_DONE, session=session))


def session_of(session: SshView, now: datetime) -> Html:
    """What is known of the session."""
    return html(
        _DETAILS,
        source=session.source,
        owner=session.owner,
        destination=session.destination,
        local_user=session.local_user or "(not said)",
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

_SESSION = """<p>A machine wants to open an SSH session, and the policy of this tailnet wants its owner to say
yes first.</p>
{session}
{ways}
<p class="soft">Only <bdi>{owner}</bdi> can let it in, and should do so only after opening it. It waits for {left} more.
Opening or reloading this page changes nothing.</p>
"""

_BY_COMMAND = """<section>
<h2>Approve it on the command line</h2>
<p>An administrator of this server runs:</p>
<pre>headscale auth approve --auth-id {auth_id}</pre>
<p class="soft"><code>headscale auth reject --auth-id {auth_id}</code> turns the session away.</p>
</section>
"""

_DECIDED = """<p>This SSH session was approved or refused already. The terminal has the answer; you can close
this page.</p>
{session}
"""

_CONFIRM = """<p>You are signed in as <strong><bdi>{user}</bdi></strong>. If you say yes, the session begins, and others
from the same machine may begin without asking for as long as the policy says.</p>
{session}
<form method="post" action="/oidc/confirm/{flow_id}">
<input type="hidden" name="confirmation" value="{confirmation}">
<button type="submit" name="answer" value="yes">Yes, let it begin</button>
<button type="submit" name="answer" value="no" class="second">No, refuse it</button>
</form>
<p class="soft">Say no when you did not open it yourself just now: somebody else may be using your machine.</p>
"""

_DONE = """<p>Go back to your terminal. You can close this page.</p>
{session}
"""

_UNKNOWN = """<p>It has a mistake in it, its time is over, or the SSH session has ended.</p>
<h2>What to do</h2>
<p>Open the SSH session again: the terminal shows a new link. Open that one.</p>
"""
