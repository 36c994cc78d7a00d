"""`headscale nodes` and `routes`: the devices of a tailnet."""
