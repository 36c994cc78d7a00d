"""What every page for people has: headings in order, labels, contrast in light and dark, and nothing that runs."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from gateway.public.pages import help as help_pages
from gateway.public.pages import login, sign_in, ssh
from gateway.public.pages.frame import STYLE
from gateway.public.pages.html import Html
from gateway.public.pages.refusals import ADVICE, TITLES
from services.shared.keys import MachineKey

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
AUTH_ID = "hskey-authreq-0123456789abcdef01234567"
FLOW_ID = "0123456789abcdef01234567"
VIEW = login.LoginView(
    AUTH_ID, MachineKey(bytes(32)), "laptop", "linux", "192.0.2.1", NOW, NOW + timedelta(minutes=15), False
)
DEVICE = login.device_of(VIEW, NOW)
AGAIN = sign_in.again_link(AUTH_ID)
SESSION = ssh.SshView(AUTH_ID, "laptop", "alice@example.com", "server", "root", NOW, NOW + timedelta(minutes=15), False)
DETAILS = ssh.session_of(SESSION, NOW)
COMMAND = "headscale -c /srv/headscale/config.yaml"
SSH_WAYS = (sign_in.by_buttons(AUTH_ID, [("", "SmartLink")], "session"), login.folded(ssh.by_command(AUTH_ID, COMMAND)))
WAYS = (
    sign_in.by_buttons(AUTH_ID, [("", "SmartLink"), ("other", "Other")]),
    login.folded(login.by_command(AUTH_ID, COMMAND)),
)
PAGES: dict[str, Html] = {
    "landing": login.login_page(VIEW, NOW, WAYS),
    "command": login.login_page(VIEW, NOW, (login.by_command(AUTH_ID, COMMAND),)),
    "unknown": login.unknown_page("https://a.example"),
    "unavailable": login.unavailable_page(AUTH_ID),
    "confirm": sign_in.confirm_page(FLOW_ID, "alice@example.com", DEVICE, "x"),
    "done": sign_in.done_page("alice@example.com", DEVICE),
    "waiting": sign_in.waiting_page(),
    "lost": sign_in.lost_page(FLOW_ID),
    "busy": sign_in.busy_page(AUTH_ID),
    "unreachable": sign_in.unreachable_page("SmartLink", "provider-unreachable: x", AUTH_ID),
    "ssh": ssh.ssh_page(SESSION, NOW, SSH_WAYS),
    "ssh-command": ssh.ssh_page(SESSION, NOW, (ssh.by_command(AUTH_ID, COMMAND),)),
    "ssh-decided": ssh.ssh_page(replace(SESSION, decided=True), NOW, SSH_WAYS),
    "ssh-unknown": ssh.unknown_page(),
    "ssh-confirm": ssh.confirm_page(FLOW_ID, "alice@example.com", DETAILS, "x"),
    "ssh-done": ssh.done_page(DETAILS),
    "ssh-refused": sign_in.refused_page(
        "not-owner", "text", FLOW_ID, final=False, again=sign_in.again_link(AUTH_ID, "session"), what="session"
    ),
    "apple": help_pages.apple_page("https://a.example"),
    "windows": help_pages.windows_page("https://a.example"),
    **{
        reason: sign_in.refused_page(reason, "text", FLOW_ID, final=True, again=None)
        for reason in sorted({*TITLES, *ADVICE})
    },
    "refused-waits": sign_in.refused_page("token-expired", "text", FLOW_ID, final=False, again=AGAIN),
}


class Outline(HTMLParser):
    """The tags of a page, and the words that stand in some."""

    def __init__(self, page: Html) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "title", "button", "a", "summary"):
            self._open.append(tag)
            self.words.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.words[tag][-1] += data

    def names(self) -> list[str]:
        """The tags alone."""
        return [tag for tag, _ in self.tags]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_one_that_anybody_can_read(name: str) -> None:
    page = Outline(PAGES[name])
    assert page.tags[0] == ("html", {"lang": "en"})
    assert len(page.words["h1"]) == 1 and page.words["h1"] == page.words["title"]
    assert page.names().count("main") == 1 and "h3" not in page.names()
    assert all(words.strip() for kind in page.words.values() for words in kind)
    assert all(given["type"] == "hidden" for tag, given in page.tags if tag == "input")
    assert all(given.get("type") == "submit" for tag, given in page.tags if tag == "button")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_nothing_and_loads_only_its_icon(name: str) -> None:
    page = Outline(PAGES[name])
    assert not {"script", "img", "iframe", "object"} & set(page.names())
    assert [given["href"] for tag, given in page.tags if tag == "link"] == ["/icon.svg"]
    assert not any(given.startswith("on") or given == "style" for _, attributes in page.tags for given in attributes)


@pytest.mark.parametrize("name", ["lost", "busy", "unreachable", "unavailable", "refused-waits", *sorted(TITLES)])
def test_the_page_of_an_error_says_what_to_do_and_has_a_reference(name: str) -> None:
    after = PAGES[name].partition("give this reference:")[2]
    assert FLOW_ID in after
    assert re.search("What to do|again|reload", PAGES[name])


def palette(scheme: str) -> dict[str, str]:
    """The colours of a scheme by name."""
    light, dark = re.findall(r":root\{([^}]+)\}", STYLE)
    return dict(re.findall(r"--(\w+):(#\w+)", light if scheme == "light" else dark))


def luminance(colour: str) -> float:
    """As WCAG 2 has it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [("ink", "card"), ("soft", "card"), ("ink", "code"), ("soft", "code"), ("on", "act"), ("act", "card")],
)
def test_words_stand_out_from_their_ground(scheme: str, front: str, back: str) -> None:
    colours = palette(scheme)
    bright, dim = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5


def test_what_others_chose_is_text_on_the_pages_of_a_session() -> None:
    evil = '"><script>alert(1)</script>'
    session = ssh.SshView(AUTH_ID, evil, evil, evil, evil, NOW, NOW + timedelta(minutes=15), False)
    details = ssh.session_of(session, NOW)
    for page in (
        ssh.ssh_page(session, NOW, ()),
        ssh.confirm_page(FLOW_ID, evil, details, evil),
        ssh.done_page(details),
    ):
        assert "<script" not in page and page.count("&lt;script&gt;") >= 4
