"""The endpoints inside the tunnel: registration, map sessions and the smaller ones."""
