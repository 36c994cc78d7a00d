"""The registry over its own RPCs: admission, feed, presence, updates, replicas, hostile input."""
