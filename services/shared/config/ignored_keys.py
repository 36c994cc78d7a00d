"""Keys that a file may have and that change nothing here, most of them Headscale's, each with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

from services.shared.config.errors import Found
from services.shared.config.model import Config

_LOAD = "windows and queues follow the load here; remove it"
_GORM = "there is no GORM here; remove it, and see statements by database.debug"

IDLE: dict[str, str] = {
    "preauth_keys.revoked_retention": "revoked keys stay until `headscale preauthkeys delete`; remove it",
    "database.gorm.prepare_stmt": _GORM,
    "database.gorm.parameterized_queries": _GORM,
    "database.gorm.skip_err_record_not_found": _GORM,
    "database.gorm.slow_threshold": _GORM,
    "services.derp.addresses": "no other process calls it; remove it",
    "services.gateway.addresses": "no other process calls it; remove it",
    "tuning.notifier_send_timeout": _LOAD,
    "tuning.batch_change_delay": _LOAD,
    "tuning.node_mapsession_buffered_chan_size": _LOAD,
    "tuning.batcher_workers": _LOAD,
    "tuning.node_store_batch_size": _LOAD,
    "tuning.node_store_batch_timeout": _LOAD,
    "tuning.register_cache_cleanup": "a pending login goes when it ends; remove it",
}
"""Key to remedy; a warning where a value is not the default."""

QUIET: frozenset[str] = frozenset(
    (
        "disable_check_updates",
        "oidc.pkce.enabled",
        "oidc.pkce.method",
    )
)
"""Keys without a warning: their values ask for what the server does anyway, or another check warns of them."""


def idle_warnings(config: Config) -> Iterator[Found]:
    """Yield the keys that are set and have no effect."""
    untouched = Config()
    for key, remedy in IDLE.items():
        if _at(config, key) != _at(untouched, key):
            yield key, "changes nothing here", remedy


def _at(config: Config, key: str) -> Any:
    return reduce(getattr, key.split("."), config)
