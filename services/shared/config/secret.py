"""The mark of a secret: it may stand in a file of its own, and stays out of `repr`."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def secret(key: str = "") -> Any:
    """Return a field that may also be set by the file that `HEADSCALE_<KEY>_FILE` names, or by a credential."""
    return field(default="", repr=False, metadata={"secret": True} | ({"key": key} if key else {}))
