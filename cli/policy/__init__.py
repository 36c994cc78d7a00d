"""`headscale policy`: read, check, change, explain and preview the policy."""
