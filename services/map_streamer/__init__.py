"""The map streamer: folds the change logs into a snapshot and tells gateways what each map session must be sent."""
