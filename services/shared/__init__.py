"""The floor that every process stands on: keys, ids, clock, configuration, telemetry, bus, rpc, wire types, access."""
