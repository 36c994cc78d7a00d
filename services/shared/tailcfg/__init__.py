"""What clients say and are told: reading of untrusted requests, names, times, addresses. Pure: no I/O, no clock."""
