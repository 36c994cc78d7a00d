"""Policy calls without a server: the same code as a server's, in this process, on the database of the configuration.

For use without a reachable server. A running server applies the change at its next start, or at once if a bus
is configured. Nodes and users are read as they are stored, so that a policy's tests are run here too.
"""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.values import confirm
from cli.link.place import database_in_use
from cli.link.remote import configuration

FLAGS = ("--bypass-server-and-access-database-directly", "--bypass-grpc-and-access-database-directly")


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag, also by its name until Headscale 0.29."""
    parser.add_argument(
        *FLAGS, dest="direct", action="store_true", help="use the database of the configuration, without a server"
    )


class Direct:
    """Substitute for `Remote` for the policy's calls."""

    def __init__(self, arguments: argparse.Namespace, *, writes: bool = False) -> None:
        self._config = database_in_use(configuration(arguments))
        file = self._config.database.sqlite.path
        if self._config.database.type == "sqlite" and file is not None and not file.is_file():
            raise CommandError(f"no database at {file}", "the server makes it when it first starts: headscale serve")
        if writes:
            confirm("change the database directly, although a server may be running?", arguments.force)

    def __enter__(self) -> Direct:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def policies(self) -> Direct:
        """There are no other calls."""
        return self

    def call(self, name: str, request: Any) -> Any:
        """Make one call.

        Raises:
            CommandError: it was refused, or the database cannot be used.
        """
        import asyncio

        import grpc.aio
        from sqlalchemy.exc import SQLAlchemyError

        from gateway.admin.refusal import Refused
        from services.registry.store import StoreUnavailableError

        try:
            return asyncio.run(self._call(name, request))
        except grpc.aio.AioRpcError as error:
            raise CommandError(error.details() or error.code().name.lower()) from None
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        except (SQLAlchemyError, StoreUnavailableError, OSError) as error:
            problem = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise CommandError(f"the database cannot be used: {problem}", "headscale configtest checks it") from None

    async def _call(self, name: str, request: Any) -> Any:
        import services.policy.wiring
        import services.registry.wiring
        from gateway.admin.calls.policy_versions import PolicyVersions
        from gateway.admin.checks import check
        from gateway.admin.context import CallContext
        from gateway.admin.services import Services
        from services.shared.bus import connect_bus
        from services.shared.rpc.caller import DIRECT, Caller
        from services.shared.rpc.local import LocalChannel, LocalServer
        from services.shared.runtime.clock import SystemClock
        from services.shared.runtime.process import Deps
        from services.shared.scopes import ALL

        bus = await connect_bus(self._config.bus.url, token=self._config.services.token)
        server = LocalServer()
        channel = LocalChannel(server)
        policy = await services.policy.wiring.build(self._config, Deps(SystemClock(), bus, {"registry": channel}))
        registry = await services.registry.wiring.build(self._config, Deps(SystemClock(), bus, {}))
        try:
            await policy.start()
            # Only its records: the registry's timer must run in the serving process alone.
            await registry.ledger.start()
            policy.add_to(server)
            registry.add_to(server)
            calls = PolicyVersions(Services({"policy": channel, "registry": channel, "auth": channel}))
            check(request)
            return await getattr(calls, name)(request, CallContext(Caller(DIRECT), frozenset({ALL})))
        finally:
            await server.stop(0)
            await policy.stop()
            await registry.stop()
            await bus.close()
