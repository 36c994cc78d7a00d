"""Names of fields as protobuf spells them in JSON. Pure."""

from __future__ import annotations


def json_name(name: str) -> str:
    """Return the JSON name of a field: `node_id` is `nodeId`."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
