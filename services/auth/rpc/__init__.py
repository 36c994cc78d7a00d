"""smartscale.auth.v1 on one side, use cases on the other. Translates and decides nothing."""

from services.auth.rpc.servicer import AuthServicer as AuthServicer
