"""Pages for operators on the metrics listener: the state of the services and what they compute. Never public."""
