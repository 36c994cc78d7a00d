"""The open web of the gateway: what is served outside the tunnel."""
