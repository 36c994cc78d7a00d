"""What the service decides, against the protocols of `store`."""
