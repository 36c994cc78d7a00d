"""`headscale users` and `groups`: the people of a tailnet, and what they may do."""
