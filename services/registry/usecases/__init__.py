"""What the registry decides. Every decision runs inside the ledger, against the newest state of the tailnet."""
