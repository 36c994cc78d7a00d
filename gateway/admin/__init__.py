"""Administration: headscale.v1 over gRPC, on a unix socket and on TCP. Translates; the services decide."""
