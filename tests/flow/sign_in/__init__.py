"""Sign-in at the auth service and at the gateway's pages, with a provider on loopback."""
