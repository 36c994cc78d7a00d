"""What clients ask inside the tunnel: registering, map sessions and the smaller endpoints."""
