"""The documents that a configuration names, read from their files and addresses and checked. Keeps nothing."""

from __future__ import annotations

from pathlib import Path

from services.shared.documents.bounded import MAX_BYTES, DocumentError, DocumentFinding, read_json, read_yaml
from services.shared.documents.derp_map import DerpMap, check_derp_map
from services.shared.documents.dns_records import Record, check_records
from services.shared.documents.fetching import fetch
from services.shared.file_rights import reason_of


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DocumentError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {reason_of(error)}") from None
    if len(data) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES >> 20} MiB")
    return data


def derp_map_of_file(path: Path) -> DerpMap:
    """Read the DERP map of a file, in Headscale's YAML or the wire's JSON.

    Raises:
        DocumentError: it cannot be read, or is no DERP map.
    """
    data = read_file(path)
    return check_derp_map(read_json(data) if path.suffix.lower() == ".json" else read_yaml(data))


async def derp_map_of_url(url: str) -> DerpMap:
    """Fetch the DERP map of an address, as JSON.

    Raises:
        DocumentError: it cannot be fetched, or is no DERP map.
    """
    return check_derp_map(read_json(await fetch(url)))


def records_of_file(path: Path) -> tuple[tuple[Record, ...], tuple[DocumentFinding, ...]] | None:
    """Read the extra DNS records of a JSON file; None for an empty file, which says nothing, as with Headscale.

    Raises:
        DocumentError: it cannot be read, or is no list of records.
    """
    data = read_file(path)
    return check_records(read_json(data)) if data.strip() else None
