"""Transports between a socket and a protocol."""
