"""Protocols of the tables, services and providers that the use cases require, one module a noun. No implementation."""
