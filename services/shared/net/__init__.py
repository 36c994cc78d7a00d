"""Transports between a socket and a protocol, and handover of connections between services."""
