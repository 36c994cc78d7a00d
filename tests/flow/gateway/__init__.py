"""The gateway as a whole: its service, its replicas, its workers, TLS at its edge."""
