"""`headscale serve`, `version` and `health`: runs a server, or asks one. Knows no wiring itself."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import data, emit
from cli.frame.parser import declare as declare_command
from cli.link.remote import Remote, configuration

PROCESSES = ("gateway", "registry", "policy", "auth", "map-streamer", "derp")


def declare(nouns: Any) -> None:
    """Add the commands."""
    serve = declare_command(
        nouns, "serve", _serve, "Run the server: all services in one process, or only the named ones", (),
        "headscale serve\n  headscale serve -c config.yaml\n  headscale serve registry -c config.yaml",
    )  # fmt: skip
    serve.add_argument("process", nargs="*", choices=[[], *PROCESSES], metavar="PROCESS", help=", ".join(PROCESSES))
    declare_command(
        nouns,
        "version",
        _version,
        "Print the Headscale release that this program is compatible with, and its own version",
    )
    health = declare_command(nouns, "health", _health, "Ask a running server whether its database and services answer")
    health.add_argument("--process", choices=PROCESSES, default="", help="ask this one process of a stack")


def _serve(arguments: argparse.Namespace) -> None:
    from cli.server import serve

    serve.run_processes(configuration(arguments), tuple(arguments.process))


def _version(arguments: argparse.Namespace) -> None:
    from services.shared.build_info import HEADSCALE, UNKNOWN, built, described

    shown = described()
    if arguments.output:
        emit(shown, arguments.output)
        return
    made = built()
    dirty = "-dirty" if made.dirty else ""
    runtime: Any = shown["go"]
    print(f"headscale version v{HEADSCALE}\ncommit: {made.commit}{dirty}\nbuild time: {UNKNOWN}")
    print(f"built with: {runtime['version']} {runtime['os']}/{runtime['arch']}")
    print(f"smartscale version {made.version}, with the interfaces of Headscale {HEADSCALE}")


def _health(arguments: argparse.Namespace) -> None:
    if arguments.process and arguments.process != "gateway":
        _process_health(arguments)
        return
    from headscale.v1 import headscale_pb2

    with Remote(arguments) as remote:
        answer = remote.call("Health", headscale_pb2.HealthRequest())
    if arguments.output:
        emit(data(answer), arguments.output)
    if not answer.database_connectivity:
        raise CommandError("the database does not answer", "see the log of the registry")
    if not arguments.output:
        print("ok")


def _process_health(arguments: argparse.Namespace) -> None:
    """Ask the gRPC health service of one process, at its address on this host."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    config = configuration(arguments)
    name = arguments.process.replace("-", "_")
    address = str(getattr(config.services, name).listen_addr)
    host, _, port = address.rpartition(":")
    target = f"127.0.0.1:{port}" if host in ("", "0.0.0.0", "[::]") else address  # noqa: S104
    tls = config.services.tls
    if tls.enabled and tls.ca_path and tls.key_path and tls.cert_path:
        credentials = grpc.ssl_channel_credentials(
            tls.ca_path.read_bytes(), tls.key_path.read_bytes(), tls.cert_path.read_bytes()
        )
        override = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
        channel = grpc.secure_channel(target, credentials, options=override)
    else:
        channel = grpc.insecure_channel(target)
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(),
                timeout=4,
                metadata=(("smartscale-token", config.services.token),) if config.services.token else (),
            )
        except grpc.RpcError as error:
            raise CommandError(f"{arguments.process} does not answer: {error.code().name.lower()}") from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise CommandError(f"{arguments.process} is not ready")
    print("ok")
