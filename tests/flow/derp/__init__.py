"""The relay over real sockets, and what it asks the registry."""
