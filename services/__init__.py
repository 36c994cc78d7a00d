"""The processes behind the gateway. Each speaks gRPC to the others, never Python."""
