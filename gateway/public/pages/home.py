"""The page at the root, which explains how a device joins, and the icon of all pages."""

from __future__ import annotations

from gateway.public.pages.frame import page
from gateway.public.pages.html import Html, html

ICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><style>circle{fill:#1d5fbf}
@media(prefers-color-scheme:dark){circle{fill:#8ab8ff}}</style><g><circle cx="6" cy="6" r="4" opacity=".35"/>
<circle cx="16" cy="6" r="4" opacity=".35"/><circle cx="26" cy="6" r="4" opacity=".35"/><circle cx="6" cy="16" r="4"/>
<circle cx="16" cy="16" r="4"/><circle cx="26" cy="16" r="4"/><circle cx="6" cy="26" r="4" opacity=".35"/>
<circle cx="16" cy="26" r="4"/><circle cx="26" cy="26" r="4" opacity=".35"/></g></svg>"""


def home_page(server_url: str, command: str) -> Html:
    """Return the page; its commands work as printed, on a device with a Tailscale client and on the server's host."""
    return page("This is a Tailscale control server", html(_HOME, server_url=server_url, command=command))


_HOME = """<p>It connects the devices of one private network. To join it, install the official Tailscale
client on a device and run there:</p>
<pre>tailscale up --login-server {server_url}</pre>
<p>The command prints an address where you sign in, or where an administrator lets the device in.</p>
<p>Without a command line: <a href="/apple">Apple devices</a>, <a href="/windows">Windows</a>.</p>
<p class="soft">Administrators: <a href="/api/v1/docs">the interface for programs</a>. On the machine that this server
runs on, <code>{command} --help</code> shows the command line.</p>
"""
