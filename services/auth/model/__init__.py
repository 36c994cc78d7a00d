"""What a key, a login and a registration are, and what follows from them. Pure: no I/O, no clock, no stubs."""
