"""Fails for unused code: names of the product that neither it nor its tests mention, except those allowed here.

An entry that vulture no longer reports fails too, so that the list stays true.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vulture.core import Vulture

ROOT = Path(__file__).parents[1]
CONFIDENCE = 60
"""Percent; vulture gives 60 to names that it finds nowhere, and more to what no name could reach."""

ALLOWED = {
    "called or set for a library, by the name that the library gives": """
        ignore_aliases _check_value _name_parser_map makefile should_exit main_loop capture_signals max_header_length
        max_payload_length sizehint on_url on_header socket_connect_timeout socket_keepalive response_cls impl cache_ok
        process_bind_param process_result_value isolation_level _async_soft_close driver is_async
        supports_statement_cache do_execute do_executemany text_factory num_tickets dynamic_entries""",
    "abstract methods of grpc's classes, with its names of parameters": """
        exc_tb exc_type exc_val abort_with_status set_compression disable_next_message_compression peer_identities
        peer_identity_key auth_context server_credentials""",
    "named in a string, which is a type that imports only the checker": "Behaviour",
    "calls of the administration, found by the names of their contract": """
        ListDevices RenameDevice SetDeviceKeyExpiry SetDeviceAddress ListGroups GetGroup SetAddresses BackfillNodeIPs
        DiffVersions RollBackPolicy ListRouters SetDeviceAttributes GetContacts
        ChangeContact""",
    "codes of a standard, listed whole": "SETTINGS_TIMEOUT CONNECT_ERROR INADEQUATE_SECURITY HTTP_1_1_REQUIRED",
    "keys of Headscale's configuration that are read, checked and have no effect here": """
        disable_check_updates prepare_stmt parameterized_queries skip_err_record_not_found slow_threshold gorm
        notifier_send_timeout batch_change_delay node_mapsession_buffered_chan_size batcher_workers
        register_cache_cleanup node_store_batch_size node_store_batch_timeout revoked_retention""",
    "fields of the clients' JSON, which is encoded and decoded by field": """
        StableID AllowedIPs Created MachineAuthorized KeyExpiry Expired Endpoints HomeDERP DERP Cap PrimaryRoutes Online
        LastSeen nl_key node_key_signature tka_head debug_flags map_session_handle map_session_seq""",
}


def main() -> int:
    """Report unused names; 0 when there is none."""
    vulture = Vulture(ignore_decorators=["@*.on", "@*.listens_for"])
    product = ("gateway", "services", "cli")
    vulture.scavenge([str(ROOT / part) for part in (*product, "scripts", "tests")], exclude=["*/migrations/*"])
    allowed = {name for names in ALLOWED.values() for name in names.split()}
    unused = [
        item
        for item in vulture.get_unused_code(min_confidence=CONFIDENCE)
        if Path(item.filename).relative_to(ROOT).parts[0] in product
    ]
    wrong = [item.get_report() for item in unused if item.name not in allowed]
    wrong += [f"allowed, but not reported: {name}" for name in sorted(allowed - {item.name for item in unused})]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
