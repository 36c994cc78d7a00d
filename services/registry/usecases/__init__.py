"""The use cases of the registry, by noun. Each runs inside `ledger`, against the newest state of the tailnet."""
