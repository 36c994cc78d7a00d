"""The connection to a server: its unix socket, or an address with an API key. Imports gRPC only when it is used."""

from __future__ import annotations

import argparse
import os
import sys
from copy import copy
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import pasteable
from cli.link import interrupt, settings

if TYPE_CHECKING:
    from headscale.v1 import node_pb2, user_pb2

    from cli.link.node_lists import NodeReader
    from services.shared.config import Config


WHOLE_TAILNET = 120.0
"""Deadline in seconds of calls that evaluate every node."""
SLOW = 50.0
"""Deadline in seconds of calls that contact sign-in providers."""


CHANNEL = (("grpc.max_receive_message_length", -1),)
"""A tailnet of many nodes is a long answer."""


def configuration(arguments: argparse.Namespace) -> Config:
    """Return the configuration that the command line names, or the first one of the search path.

    Raises:
        CommandError: there is none, or it does not hold together.
    """
    from pathlib import Path

    from services.shared.config import ConfigError, load

    try:
        return load(Path(arguments.config) if arguments.config else None, os.environ)
    except ConfigError as error:
        for warning in error.warnings:
            sys.stderr.write(f"headscale: warning: {pasteable(warning)}\n")
        raise CommandError(str(error), settings.after_refusal(arguments.config, os.environ)) from None


def login_server(arguments: argparse.Namespace) -> str:
    """Return the URL that devices log in to; the word URL if the configuration of this machine does not name it."""
    from pathlib import Path

    from services.shared.config import ConfigError, load

    try:
        if settings.read(arguments.config, os.environ).address:  # of another machine
            return "URL"
        return load(Path(arguments.config) if arguments.config else None, os.environ).server_url
    except (CommandError, ConfigError):
        return "URL"


class Remote:
    """Connection to a server; its refusals are raised as CommandError."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        # gRPC's own lines about failed handshakes would stand between ours.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc

        self._grpc = grpc
        self._stub: Any = None
        self._metadata: tuple[tuple[str, str], ...] = ()
        self._configured = True
        known = settings.read(arguments.config, os.environ)
        self._timeout = known.timeout
        if known.address:
            self._where = known.address
            if not known.api_key:
                raise CommandError(
                    f"no API key for {self._where}", "set HEADSCALE_CLI_API_KEY, made by: headscale apikeys create"
                )
            self._metadata = (("authorization", f"Bearer {known.api_key}"),)
            self._channel = self._dial(known.insecure)
        else:
            self._where = f"unix:{known.unix_socket}"
            self._configured = bool(settings.file_of(arguments.config, os.environ))
            self._channel = grpc.insecure_channel(self._where, CHANNEL)

    def __enter__(self) -> Remote:
        from headscale.v1 import headscale_pb2_grpc

        self._stub = headscale_pb2_grpc.HeadscaleServiceStub(self._channel)
        interrupt.end_at_interrupt()
        return self

    def policies(self) -> Remote:
        """From here on calls go to the administration of the policy."""
        from smartscale.admin.v1 import policy_pb2_grpc

        self._stub = policy_pb2_grpc.PolicyAdminServiceStub(self._channel)
        self._timeout = max(self._timeout, WHOLE_TAILNET)
        return self

    def in_pages(self) -> Remote:
        """Return this connection for calls that read nodes in pages; the calls of others stay as they are."""
        from smartscale.admin.v1 import node_pb2_grpc

        pages = copy(self)
        pages._stub = node_pb2_grpc.NodeAdminServiceStub(self._channel)
        return pages

    def logins(self) -> Remote:
        """From here on calls go to the logins that wait."""
        from smartscale.admin.v1 import pending_login_pb2_grpc

        self._stub = pending_login_pb2_grpc.PendingLoginAdminServiceStub(self._channel)
        return self

    def audit(self) -> Remote:
        """From here on calls go to the audit log."""
        from smartscale.admin.v1 import audit_pb2_grpc

        self._stub = audit_pb2_grpc.AuditAdminServiceStub(self._channel)
        self._timeout = max(self._timeout, WHOLE_TAILNET)
        return self

    def dns(self) -> Remote:
        """From here on calls go to the DNS configuration."""
        from smartscale.admin.v1 import dns_pb2_grpc

        self._stub = dns_pb2_grpc.DnsAdminServiceStub(self._channel)
        return self

    def keys(self) -> Remote:
        """From here on calls go to the administration of keys."""
        from smartscale.admin.v1 import key_pb2_grpc

        self._stub = key_pb2_grpc.KeyAdminServiceStub(self._channel)
        return self

    def people(self) -> Remote:
        """From here on calls go to the administration of users."""
        from smartscale.admin.v1 import user_pb2_grpc

        self._stub = user_pb2_grpc.UserAdminServiceStub(self._channel)
        return self

    def itself(self) -> Remote:
        """From here on calls go to the server's own administration, which may have to ask others that are slow."""
        from smartscale.admin.v1 import server_pb2_grpc

        self._stub = server_pb2_grpc.ServerAdminServiceStub(self._channel)
        self._timeout = max(self._timeout, SLOW)
        return self

    def __exit__(self, *_: object) -> None:
        interrupt.raise_at_interrupt()
        self._channel.close()

    def call(self, name: str, request: Any) -> Any:
        """Make one call.

        Raises:
            CommandError: the server refused or could not be reached.
        """
        from cli.link import progress, refusals

        method = getattr(self._stub, name)
        try:
            if not progress.watched():
                return method(request, timeout=self._timeout, metadata=self._metadata)
            call = method.future(request, timeout=self._timeout, metadata=self._metadata)
            return progress.wait(call, self._where, self._grpc.FutureTimeoutError)
        except self._grpc.RpcError as error:
            raise refusals.command_error(error, self._where, self._timeout, configured=self._configured) from None

    @property
    def lists(self) -> NodeReader:
        """The nodes of the server."""
        from cli.link.node_lists import NodeReader

        return NodeReader(self.in_pages(), self)

    def node(self, text: str) -> node_pb2.Node:
        """Return the one node that an id or a given name identifies.

        Raises:
            CommandError: there is none.
        """
        return self.lists.node(text)

    def user(self, text: str) -> user_pb2.User:
        """Return the one user that an id, a name or an e-mail names.

        Raises:
            CommandError: none, or several.
        """
        from headscale.v1 import user_pb2

        users: list[user_pb2.User] = list(self.call("ListUsers", user_pb2.ListUsersRequest()).users)
        for found in (
            [user for user in users if str(user.id) == text],
            [user for user in users if user.name == text],
            [user for user in users if text and user.email == text],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                raise CommandError(f"several users match {text!r}", "say the id, from: headscale users list")
        raise CommandError(f"user not found: {text!r}", "see: headscale users list")

    def _dial(self, insecure: bool) -> Any:
        if "://" in self._where:
            from cli.link import over_http

            return over_http.HttpChannel(self._where, insecure=insecure)
        if insecure:
            from cli.link import unverified

            return unverified.channel(self._where, self._timeout, CHANNEL)
        return self._grpc.secure_channel(self._where, self._grpc.ssl_channel_credentials(), CHANNEL)
