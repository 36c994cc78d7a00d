"""The map streamer: folds the change logs into snapshots and sends each gateway the map responses of its sessions."""
