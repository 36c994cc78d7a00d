"""Protocols of tables, neighbours and providers that the use cases require, one module a noun. No implementation."""
