"""Reads installations of Headscale, each release by its own schema, into neutral records. Knows no service."""
