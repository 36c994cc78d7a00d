"""Pages for operators on the metrics listener: what the services hold and work out. Never reachable from outside."""
