"""The operations of /api/v2 about DNS: views of one configuration, and changes of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smartscale.admin.v1 import dns_pb2 as pb
from smartscale.types.v1 import dns_pb2 as types
from starlette.responses import Response

from gateway.admin.refusal import invalid
from gateway.admin.rest.v2.operation import (
    Handler,
    Operation,
    Question,
    answered,
    flag_member,
    object_member,
    optional_flag,
    required_texts,
    texts_member,
)

_DNS = "smartscale.admin.v1.DnsAdminService."


async def _in_force(question: Question) -> types.DnsConfiguration:
    found: types.DnsConfiguration = (await question.ask(_DNS + "GetDns", pb.GetDnsRequest())).dns
    return found


async def _change(question: Question, change: types.DnsChange) -> types.DnsConfiguration:
    found: types.DnsConfiguration = (await question.ask(_DNS + "ChangeDns", pb.ChangeDnsRequest(change=change))).dns
    return found


async def _nameservers(question: Question) -> Response:
    return answered({"dns": _addresses((await _in_force(question)).nameservers)})


async def _set_nameservers(question: Question) -> Response:
    servers = _plain(required_texts(await question.body(), "dns"))
    dns = await _change(question, types.DnsChange(nameservers=types.ResolverList(resolvers=servers)))
    return answered({"dns": _addresses(dns.nameservers), "magicDNS": dns.magic_dns})


async def _preferences(question: Question) -> Response:
    return answered({"magicDNS": (await _in_force(question)).magic_dns})


async def _set_preferences(question: Question) -> Response:
    wanted = flag_member(await question.body(), "magicDNS")
    return answered({"magicDNS": (await _change(question, types.DnsChange(magic_dns=wanted))).magic_dns})


async def _search_paths(question: Question) -> Response:
    return answered({"searchPaths": list((await _in_force(question)).search_paths)})


async def _set_search_paths(question: Question) -> Response:
    paths = types.SearchPathList(paths=required_texts(await question.body(), "searchPaths"))
    dns = await _change(question, types.DnsChange(search_paths=paths))
    return answered({"searchPaths": list(dns.search_paths)})


async def _split(question: Question) -> Response:
    return _split_answer(await _in_force(question))


async def _replace_split(question: Question) -> Response:
    domains = _split_domains(await question.body())
    return _split_answer(await _change(question, types.DnsChange(split=types.SplitDomainList(domains=domains))))


async def _update_split(question: Question) -> Response:
    """Replace the name servers of the named domains alone; null or an empty list removes a domain."""
    return _split_answer(await _change(question, types.DnsChange(split_domains=_split_domains(await question.body()))))


async def _configuration(question: Question) -> Response:
    return answered(_shown(await _in_force(question)))


async def _set_configuration(question: Question) -> Response:
    """Replace everything; what is absent is empty or false."""
    body = await question.body()
    preferences = object_member(body, "preferences")
    split = [
        types.SplitDomain(domain=domain, resolvers=_resolvers(object_member(body, "splitDNS"), domain))
        for domain in object_member(body, "splitDNS")
    ]
    change = types.DnsChange(
        nameservers=types.ResolverList(resolvers=_resolvers(body, "nameservers")),
        split=types.SplitDomainList(domains=split),
        search_paths=types.SearchPathList(paths=texts_member(body, "searchPaths")),
        magic_dns=optional_flag(preferences, "magicDNS") or False,
        override_local_dns=optional_flag(preferences, "overrideLocalDNS") or False,
    )
    return answered(_shown(await _change(question, change)))


def _split_answer(dns: types.DnsConfiguration) -> Response:
    return answered({one.domain: _addresses(one.resolvers) for one in dns.split})


def _shown(dns: types.DnsConfiguration) -> dict[str, Any]:
    return {
        "nameservers": list(map(_resolver, dns.nameservers)),
        "splitDNS": {one.domain: list(map(_resolver, one.resolvers)) for one in dns.split},
        "searchPaths": list(dns.search_paths),
        "preferences": {"overrideLocalDNS": dns.override_local_dns, "magicDNS": dns.magic_dns},
    }


def _resolver(server: types.Resolver) -> dict[str, Any]:
    return {"address": server.address, **({"useWithExitNode": True} if server.use_with_exit_node else {})}


def _addresses(servers: Iterable[types.Resolver]) -> list[str]:
    return [server.address for server in servers]


def _plain(addresses: Iterable[str]) -> list[types.Resolver]:
    return [types.Resolver(address=address) for address in addresses]


def _split_domains(body: Mapping[str, object]) -> list[types.SplitDomain]:
    return [types.SplitDomain(domain=domain, resolvers=_plain(texts_member(body, domain))) for domain in body]


def _resolvers(body: Mapping[str, object], name: str) -> list[types.Resolver]:
    """Read a list of name servers with options; null is the empty list."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(name, "not a list of objects with an address")
    found = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("address"), str):
            raise invalid(name, "not a list of objects with an address")
        exits = optional_flag(item, "useWithExitNode") or False
        found.append(types.Resolver(address=item["address"], use_with_exit_node=exits))
    return found


def _operation(verb: str, path: str, summary: str, handler: Handler, answer: str, request: str = "") -> Operation:
    scope = "dns:read" if verb == "GET" else "dns"
    where = f"/tailnet/{{tailnet}}/dns/{path}"
    return Operation(verb, where, summary, "dns", handler, scope, answer=answer, request=request)


_SPLIT, _WHOLE = "SplitDns", "DnsConfiguration"

OPERATIONS = (
    _operation("GET", "nameservers", "List global nameservers", _nameservers, "Nameservers"),
    _operation(
        "POST", "nameservers", "Replace global nameservers", _set_nameservers, "ChangedNameservers", "NewNameservers"
    ),
    _operation("GET", "preferences", "Get DNS preferences", _preferences, "DnsPreferences"),
    _operation("POST", "preferences", "Set DNS preferences", _set_preferences, "DnsPreferences", "DnsPreferences"),
    _operation("GET", "searchpaths", "List search domains", _search_paths, "SearchPaths"),
    _operation("POST", "searchpaths", "Replace search domains", _set_search_paths, "SearchPaths", "NewSearchPaths"),
    _operation("GET", "split-dns", "Get nameservers of single domains", _split, _SPLIT),
    _operation("PUT", "split-dns", "Replace nameservers of all domains", _replace_split, _SPLIT, "NewSplitDns"),
    _operation("PATCH", "split-dns", "Replace nameservers of some domains", _update_split, _SPLIT, "NewSplitDns"),
    _operation("GET", "configuration", "Get the DNS configuration", _configuration, _WHOLE),
    _operation(
        "POST", "configuration", "Replace the DNS configuration", _set_configuration, _WHOLE, "NewDnsConfiguration"
    ),
)
