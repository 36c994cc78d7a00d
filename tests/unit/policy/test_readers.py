"""Both readers of policies on texts that nobody meant, ours beside a second one. `make fuzz` takes longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.mutations import OWN, seeds, texts
from tests.fuzz.oracle import NotHuJsonError, Pairs, parse
from tests.fuzz.policy import check_all, check_differential


def test_every_known_policy_is_read_alike_by_a_second_reader() -> None:
    for text in seeds():
        check_differential(text)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts(list(OWN)))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    check_all(text)


@pytest.mark.parametrize("text", ["[1,,2]", "[,]", "{,}", '{"a":1,,}', "[1 2]", "NaN", "[1,/*", '{"a"}', "'a'", "01"])
def test_the_second_reader_refuses_what_is_not_hujson(text: str) -> None:
    with pytest.raises(NotHuJsonError):
        parse(text)
    check_differential(text)


def test_the_second_reader_takes_comments_and_trailing_commas() -> None:
    assert parse('// a\n{"x": [1, /* , */ 2, // b\n], "y//": "/*",}') == Pairs([("x", ["1", "2"]), ("y//", "/*")])
