"""The policy language: reading, validating, compiling and testing documents. Pure: no I/O, no clock, no stubs."""
