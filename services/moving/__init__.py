"""Reads installations of Headscale, each release by its own schema, into `shared.imported`. Knows no service."""
