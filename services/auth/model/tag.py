"""The form and number of tags that a client or an administrator names. The policy decides who may own them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.auth.model.errors import InvalidInputError

MAX_TAGS = 64
MAX_LENGTH = 128

_TAG = re.compile(r"tag:[A-Za-z][A-Za-z0-9-]*\Z", re.ASCII)  # tailcfg.CheckTag


def read_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Sort and check tags.

    Raises:
        InvalidInputError: one is malformed, or there are too many.
    """
    wanted = tuple(sorted(set(tags)))
    if len(wanted) > MAX_TAGS:
        raise InvalidInputError(f"too many tags: at most {MAX_TAGS}")
    for tag in wanted:
        if len(tag) > MAX_LENGTH or not _TAG.match(tag):
            raise InvalidInputError("a tag is 'tag:', a letter, then letters, digits and dashes")
    return wanted
