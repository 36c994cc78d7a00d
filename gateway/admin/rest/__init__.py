"""REST at /api/v1: the calls of headscale.v1 in HTTP's words. Translates; whatever is asked, the same call answers."""
