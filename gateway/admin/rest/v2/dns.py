"""The operations of /api/v2 about DNS. They read; what they show is set in the configuration."""

from __future__ import annotations

from starlette.responses import Response

from gateway.admin.rest.v2.operation import Handler, Operation, Question, answered


async def _nameservers(question: Question) -> Response:
    return answered({"dns": list(question.tailnet.dns.nameservers.global_)})


async def _preferences(question: Question) -> Response:
    return answered({"magicDNS": question.tailnet.dns.magic_dns})


async def _search_paths(question: Question) -> Response:
    return answered({"searchPaths": list(question.tailnet.dns.search_domains)})


async def _split(question: Question) -> Response:
    return answered({domain: list(servers) for domain, servers in question.tailnet.dns.nameservers.split.items()})


async def _configuration(question: Question) -> Response:
    dns = question.tailnet.dns
    override = bool(dns.nameservers.global_) if dns.override_local_dns is None else dns.override_local_dns
    split = {domain: [{"address": server} for server in servers] for domain, servers in dns.nameservers.split.items()}
    return answered(
        {
            "nameservers": [{"address": server} for server in dns.nameservers.global_],
            "splitDNS": split,
            "searchPaths": list(dns.search_domains),
            "preferences": {"overrideLocalDNS": override, "magicDNS": dns.magic_dns},
        }
    )


def _reads(path: str, summary: str, handler: Handler, answer: str) -> Operation:
    return Operation("GET", f"/tailnet/{{tailnet}}/dns/{path}", summary, "dns", handler, "dns:read", answer=answer)


OPERATIONS = (
    _reads("nameservers", "List global nameservers", _nameservers, "Nameservers"),
    _reads("preferences", "Get DNS preferences", _preferences, "DnsPreferences"),
    _reads("searchpaths", "List search domains", _search_paths, "SearchPaths"),
    _reads("split-dns", "Get nameservers of single domains", _split, "SplitDns"),
    _reads("configuration", "Get the DNS configuration", _configuration, "DnsConfiguration"),
)
