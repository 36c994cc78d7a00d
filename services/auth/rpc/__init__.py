"""The gRPC service smartscale.auth.v1: translates messages to use cases and back. Decides nothing."""

from services.auth.rpc.servicer import AuthServicer as AuthServicer
