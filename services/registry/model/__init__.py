"""The registry's records, facts, state and validation rules. Pure: no I/O, no clock, no stubs."""
