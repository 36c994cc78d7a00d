"""The instructions that point Apple and Windows devices to this server, and Apple's configuration profiles."""

from __future__ import annotations

import plistlib
import uuid

from gateway.public.pages.frame import page
from gateway.public.pages.html import Html, html

APPLE_PLATFORMS = {
    "ios": "io.tailscale.ipn.ios",
    "macos-app-store": "io.tailscale.ipn.macos",
    "macos-standalone": "io.tailscale.ipn.macsys",
}
"""The preference domain of each published Apple client."""

_NAMESPACE = uuid.UUID("7a1f3f0e-6a5b-5f27-9f0d-1d0a7b3c5a41")


def apple_page(server_url: str) -> Html:
    """Return the page on how to connect iPhones, iPads, Macs and Apple TVs."""
    return page("Connect an Apple device", html(_APPLE, server_url=server_url))


def windows_page(server_url: str) -> Html:
    """Return the page on how to connect Windows."""
    return page("Connect a Windows device", html(_WINDOWS, server_url=server_url))


def apple_profile(platform: str, server_url: str) -> bytes | None:
    """Return a configuration profile that sets the server; None for an unknown platform.

    The same server gives the same ids, so that a new profile replaces the old one.
    """
    domain = APPLE_PLATFORMS.get(platform)
    if domain is None:
        return None
    inner = {
        "PayloadType": domain,
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"{platform} {server_url}")).upper(),
        "PayloadIdentifier": f"smartscale.{platform}.settings",
        "PayloadVersion": 1,
        "PayloadEnabled": True,
        "ControlURL": server_url,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"profile {platform} {server_url}")).upper(),
            "PayloadIdentifier": f"smartscale.{platform}",
            "PayloadDisplayName": "Tailscale: own control server",
            "PayloadDescription": f"Makes the Tailscale app use {server_url}",
            "PayloadVersion": 1,
            "PayloadContent": [inner],
        }
    )


_APPLE = """<p>Install the official Tailscale client, then tell it to use this server:</p>
<pre>{server_url}</pre>
<h2>iPhone and iPad</h2>
<ol>
<li>Open Tailscale and tap the account picture at the top right, then <b>Log in…</b></li>
<li>Open the menu at the top right and choose <b>Use custom coordination server</b>.</li>
<li>Enter the address above, and log in.</li>
</ol>
<h2>Mac, in the app</h2>
<ol>
<li>Hold the Option key and click Tailscale in the menu bar.</li>
<li>Choose <b>Debug</b>, <b>Custom Login Server</b>, <b>Add Account…</b></li>
<li>Enter the address above, and log in.</li>
</ol>
<h2>Mac, on the command line</h2>
<pre>tailscale login --login-server {server_url}</pre>
<h2>Apple TV</h2>
<ol>
<li>Before the first start of the app open <b>Settings</b>, <b>Apps</b>, <b>Tailscale</b>.</li>
<li>Enter the address above under <b>Alternate Coordination Server URL</b>, then open the app and log in.</li>
</ol>
<h2>By a profile</h2>
<p>For managed devices. Look into a profile before you install it:
<a href="/apple/ios">iOS</a>,
<a href="/apple/macos-app-store">Mac, from the App Store</a>,
<a href="/apple/macos-standalone">Mac, standalone</a>.</p>
"""

_WINDOWS = """<p>Install the official Tailscale client, then tell it to use this server.</p>
<h2>On the command line</h2>
<pre>tailscale login --login-server {server_url}</pre>
<p>A link appears; open it in a browser and approve the device.</p>
<h2>For all users of a managed computer</h2>
<p>As administrator, in PowerShell, before the first login:</p>
<pre>$key = "HKLM:\\SOFTWARE\\Policies\\Tailscale"
New-Item -Force -Path $key
New-ItemProperty -Force -Path $key -Name LoginURL -PropertyType String -Value "{server_url}"
Restart-Service Tailscale</pre>
"""
