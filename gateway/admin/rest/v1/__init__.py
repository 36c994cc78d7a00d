"""REST at /api/v1: the operations of headscale.v1 over HTTP, and the paths of older releases. Decides nothing."""
