"""The map streamer between its logs and its gateways."""
