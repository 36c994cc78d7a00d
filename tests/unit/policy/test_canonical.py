"""The canonical layout of policies equals the official formatter's, because GitOps programs compare its digest."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.rest.v2.hujson import standardize
from services.policy.model.text.canonical import canonical
from services.policy.model.text.problems import SyntaxProblem
from services.policy.model.version import NO_POLICY_ETAG, etag_of

VECTORS: list[tuple[str, str | None]] = json.loads(Path(__file__).with_name("canonical.json").read_text())
"""Texts, and what the official formatter makes of them; null where it refuses them."""
_EXTRA = st.sampled_from(["", " ", "\n", "\n\n\n", "// c\n", " /* b */ ", "\n/*\n * s\n */\n", "\r\n", "/* a\n  b */"])
_LEAF = st.sampled_from(["1", "null", '"text of some length"', '"\\\\u0041"', '"é"', "-1.5e+10"])


def _list(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(_EXTRA, inner, _EXTRA).map("".join), max_size=4)
    return st.tuples(items, _EXTRA).map(lambda found: f"[{','.join(found[0])}{found[1]}]")


def _object(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    name = st.text("abcdefgh", max_size=9).map(json.dumps)
    members = st.lists(st.tuples(_EXTRA, name, _EXTRA, st.just(":"), _EXTRA, inner, _EXTRA).map("".join), max_size=4)
    return st.tuples(members, _EXTRA).map(lambda found: "{" + ",".join(found[0]) + found[1] + "}")


DOCUMENTS = st.recursive(_LEAF, lambda inner: _list(inner) | _object(inner), max_leaves=12)


@pytest.mark.parametrize(("text", "wanted"), VECTORS)
def test_the_layout_is_the_official_formatters(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(SyntaxProblem):
            canonical(text)
    else:
        assert canonical(text) == wanted


@given(DOCUMENTS)
def test_formatting_again_changes_nothing_and_no_value_is_lost(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    assert json.loads(standardize(once)) == json.loads(standardize(text.replace("\r", "")))


def test_the_etag_is_the_same_for_texts_that_differ_in_layout_alone() -> None:
    assert etag_of('{"a":1}') == etag_of('{ "a": 1, }\n') == sha256(b'{"a": 1}\n').hexdigest()
    assert etag_of("acls: []\n") == sha256(b"acls: []\n").hexdigest()
    assert etag_of("") == NO_POLICY_ETAG
