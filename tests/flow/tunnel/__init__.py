"""The tunnel over real sockets, from its first byte to its end."""
