"""What people read when a sign-in fails: the account, the reason, and what to change."""

from __future__ import annotations

import pytest

from gateway.public.pages.html import Html
from gateway.public.pages.refusals import ADVICE, TITLES
from gateway.public.pages.sign_in import done_page, refused_page
from services.auth.model.oidc.discovery import issuer_hint
from services.auth.model.oidc.refusal import RefusalReason


@pytest.mark.parametrize(
    ("issuer", "shown"),
    [
        ("https://t.link.vaultys.org", "https://t.link.vaultys.org/api/oidc/[appid]"),
        ("https://t.link.vaultys.org/", "https://t.link.vaultys.org//api/oidc/[appid]"),
        ("https://t.link.vaultys.org/api/oidc/app-1", "compare the path"),
    ],
)
def test_an_issuer_without_its_path_is_shown_in_the_form_that_the_provider_uses(issuer: str, shown: str) -> None:
    assert shown.replace("org//", "org/") in issuer_hint(issuer).replace("org//", "org/")


def test_a_refusal_names_the_account_and_escapes_it() -> None:
    page = str(refused_page("domain-not-allowed", "no", "ref", final=True, again=None, account="a@<b>.com"))
    assert "You signed in as" in page and "a@&lt;b&gt;.com" in page and "This account may not enter" in page
    assert "You signed in as" not in str(refused_page("our-side", "no", "ref", final=False, again=None))


def test_what_was_left_out_is_escaped_and_absent_when_there_is_nothing() -> None:
    assert "&lt;i&gt; left out" in str(done_page("a", Html(""), ["<i> left out"]))
    assert "Not everything" not in str(done_page("a", Html("")))


def test_titles_and_advice_are_for_reasons_that_exist() -> None:
    assert {*TITLES, *ADVICE} <= {reason.value for reason in RefusalReason}
