"""Tags, names that own nodes instead of a user: checks their form and number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.registry.model.errors import InvalidInputError

_TAG = re.compile(r"tag:[A-Za-z][A-Za-z0-9-]{0,249}\Z")
MAX_TAGS = 64


def read_tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Read tags: each once, sorted (the form is that of `tailcfg.CheckTag`).

    Raises:
        InvalidInputError: one has another form, or there are too many.
    """
    tags = set(texts)
    if len(tags) > MAX_TAGS:
        raise InvalidInputError(f"more than {MAX_TAGS} tags")
    if not all(_TAG.match(tag) for tag in tags):
        raise InvalidInputError("a tag is 'tag:', a letter, then letters, digits and '-'")
    return tuple(sorted(tags))
