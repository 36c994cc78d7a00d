"""Keys, logins, registrations and SSH checks, and the rules for them. Pure: no I/O, no clock, no stubs."""
