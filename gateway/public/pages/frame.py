"""The frame of every page: head, style and the headers that go with it. Light and dark, from phones upwards."""

from __future__ import annotations

import base64
import hashlib

from gateway.public.pages.html import Html, html, join

STYLE = """
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#59636e;--line:#d5dae0;--code:#eef1f4;
--act:#1d5fbf;--on:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#0f1216;--card:#181c22;--ink:#e8ebef;--soft:#a0a9b4;--line:#323a44;
--code:#0f1318;--act:#8ab8ff;--on:#0b1220}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1rem;background:var(--ground);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:40rem;margin:0 auto;padding:1.5rem;background:var(--card);border:1px solid var(--line);
border-radius:12px}
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}
h2{margin:1.75rem 0 .5rem;font-size:1.1rem}
p,ol{margin:.5rem 0}
ol{padding-left:1.4rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1rem;margin:1rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code,pre{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--code);border-radius:6px}
code{padding:.1em .3em;overflow-wrap:anywhere}
pre{padding:.75rem;margin:.5rem 0;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all;-webkit-user-select:all}
a{color:inherit}
summary{cursor:pointer;color:var(--soft)}
.soft{color:var(--soft);font-size:.92rem}
button{font:inherit;margin:.5rem .5rem .25rem 0;padding:.6rem 1.1rem;border:1px solid var(--act);border-radius:8px;
background:var(--act);color:var(--on);cursor:pointer}
button.second{background:transparent;color:var(--ink);border-color:var(--soft)}
button:focus-visible,a:focus-visible,summary:focus-visible{outline:3px solid var(--soft);outline-offset:2px}
@media (max-width:30rem){button{width:100%;margin-right:0}}
@media (max-width:30rem){main{padding:1.1rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Only the icon loads, and nothing runs, frames or leaves; a page with a form must widen `form-action` for itself."""

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def page(title: str, body: Html) -> Html:
    """Return a whole page."""
    return html(_FRAME, title=title, style=Html(STYLE), body=body)


def reference_of(*parts: str) -> Html:
    """Return the reason and id that lead from an error page to the log; empty if there is neither."""
    codes = join(html(" <code>{part}</code>", part=part) for part in parts if part)
    return html(_REFERENCE, codes=codes) if codes else html("")


_REFERENCE = """<p class="soft">When you ask the administrator, give this reference:{codes}</p>
"""
