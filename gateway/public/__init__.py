"""The public web of the gateway: everything served outside the tunnel."""
