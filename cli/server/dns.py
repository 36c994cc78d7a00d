"""`headscale dns`: the DNS configuration that clients are sent, and whether it is configured or was stored."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import data, emit, table
from cli.frame.parser import Noun
from cli.frame.values import commas
from cli.link.remote import Remote

if TYPE_CHECKING:
    from smartscale.types.v1 import dns_pb2 as types

_PARTS = {
    "nameservers": "Name servers",
    "split": "Name servers of domains",
    "search_paths": "Search domains",
    "magic_dns": "MagicDNS",
    "override_local_dns": "Override local DNS",
}
_WORDS = {"true": True, "false": False}


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "dns", "The DNS configuration that clients are sent")
    noun.verb(
        "show", _show, "Show the DNS configuration in force, and where each part comes from", ("list", "ls", "get")
    )
    change = noun.verb(
        "set",
        _set,
        "Store parts of the DNS configuration; they win over the configuration file",
        (),
        "headscale dns set --nameservers 1.1.1.1,9.9.9.9 --split corp.example.com=10.0.0.53",
    )
    change.add_argument(
        "--nameservers", type=commas, help='name servers for every name, separated by commas; "" for none'
    )
    change.add_argument(
        "--split",
        action="append",
        metavar="DOMAIN=SERVERS",
        help="name servers of one domain, separated by commas; none remove it (can be repeated)",
    )
    change.add_argument("--search-paths", type=commas, help='search domains, separated by commas; "" for none')
    change.add_argument("--magic-dns", choices=_WORDS, help="whether clients answer names of nodes")
    change.add_argument("--override-local-dns", choices=_WORDS, help="whether clients use the name servers alone")
    reset = noun.verb(
        "reset", _reset, "Return to the configuration file", (), "headscale dns reset nameservers search_paths"
    )
    reset.add_argument("parts", nargs="*", choices=(*_PARTS, []), metavar="PART", help="parts to reset (all)")


def _show(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import dns_pb2 as pb

    with Remote(arguments) as remote:
        _print(arguments, remote.dns().call("GetDns", pb.GetDnsRequest()).dns)


def _set(arguments: argparse.Namespace) -> None:
    from smartscale.types.v1 import dns_pb2 as types

    change = types.DnsChange(split_domains=[_domain(text) for text in arguments.split or ()])
    if arguments.nameservers is not None:
        change.nameservers.resolvers.extend(types.Resolver(address=text) for text in arguments.nameservers)
        change.nameservers.SetInParent()
    if arguments.search_paths is not None:
        change.search_paths.paths.extend(arguments.search_paths)
        change.search_paths.SetInParent()
    for name in ("magic_dns", "override_local_dns"):
        if word := getattr(arguments, name):
            setattr(change, name, _WORDS[word])
    if not change.ListFields():
        raise CommandError("nothing to set", "headscale dns set --nameservers 1.1.1.1")
    _change(arguments, change)


def _reset(arguments: argparse.Namespace) -> None:
    from smartscale.types.v1 import dns_pb2 as types

    _change(arguments, types.DnsChange(reset=arguments.parts or list(_PARTS)))


def _change(arguments: argparse.Namespace, change: types.DnsChange) -> None:
    from smartscale.admin.v1 import dns_pb2 as pb

    with Remote(arguments) as remote:
        _print(arguments, remote.dns().call("ChangeDns", pb.ChangeDnsRequest(change=change)).dns)


def _domain(text: str) -> types.SplitDomain:
    from smartscale.types.v1 import dns_pb2 as types

    domain, sign, servers = text.partition("=")
    if not sign or not domain:
        raise CommandError(f"{text}: not DOMAIN=SERVERS", "headscale dns set --split corp.example.com=10.0.0.53")
    return types.SplitDomain(domain=domain, resolvers=[types.Resolver(address=one) for one in commas(servers)])


def _print(arguments: argparse.Namespace, dns: types.DnsConfiguration) -> None:
    if arguments.output:
        emit(data(dns), arguments.output)
        return
    rows = [(_PARTS[name], text, "stored" if name in dns.stored else "configuration") for name, text in _rows(dns)]
    table(("Setting", "Value", "From"), rows, spare=(), empty="")


def _rows(dns: types.DnsConfiguration) -> list[tuple[str, str]]:
    split = [f"{one.domain}={','.join(server.address for server in one.resolvers)}" for one in dns.split]
    return [
        ("nameservers", ", ".join(server.address for server in dns.nameservers) or "-"),
        ("split", "; ".join(split) or "-"),
        ("search_paths", ", ".join(dns.search_paths) or "-"),
        ("magic_dns", "on" if dns.magic_dns else "off"),
        ("override_local_dns", "on" if dns.override_local_dns else "off"),
    ]
