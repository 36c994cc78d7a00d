"""The gRPC wire for administrators: listeners, registration of the calls, health and reflection."""
