"""REST v2: the hosted service's shapes."""
