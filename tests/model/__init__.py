"""A model of a tailnet against the real map streamer and gateway: random lives, every netmap compared."""
