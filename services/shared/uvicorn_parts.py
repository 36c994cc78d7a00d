"""The parts of uvicorn that serve HTTP/1.1, imported without its command line, reloader and process manager."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from services.shared.without_init import skip_init

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
    from uvicorn.server import Server, ServerState
else:
    skip_init("uvicorn")
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
    from uvicorn.server import Server, ServerState

    sys.modules["uvicorn"].Config = Config  # `uvicorn.lifespan.off` asks the package for it

__all__ = ["STATUS_LINE", "Config", "HttpToolsProtocol", "Server", "ServerState"]
