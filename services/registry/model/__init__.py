"""The registry's values and rules. Pure: no I/O, no clock, no stubs; time and randomness come in as arguments."""
