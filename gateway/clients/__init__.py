"""Typed callers of the services: deadlines, identity and refusals, and nothing that decides."""
