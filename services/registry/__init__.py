"""The registry: what exists in a tailnet. Users, nodes, addresses, names, routes, relays, and their change log."""
