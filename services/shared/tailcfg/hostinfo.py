"""What a node says of itself: read with suspicion, kept clean and bounded, relayed to peers in part.

Reading keeps the members that the protocol knows, in their right spelling and type; the rest is dropped. Text loses
control characters and is cut, because a device with an odd name should still join; a member of a wrong type is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from services.shared.tailcfg.address import parse_prefix
from services.shared.tailcfg.errors import BadRequestError
from services.shared.tailcfg.untrusted import Fields, clean_text, decode_object

MAX_ROUTES = 1024
MAX_TAGS = 256
MAX_SERVICES = 256
MAX_LATENCIES = 4096
MAX_REGION = (1 << 31) - 1

_Read = Callable[[Fields, str], Any]
_Readers = Mapping[str, tuple[str, _Read]]
"""Members by their lower-case names: how they are spelt, and how they are read."""

_PRIVATE = frozenset(
    (
        "FrontendLogID",
        "BackendLogID",
        "PushDeviceToken",
        "TPM",
        "Env",
        "NetInfo",
        "RequestTags",
        "WoLMACs",
        "ServicesHash",
    )
)
"""Members that are no business of peers."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Hostinfo(msgspec.Struct, frozen=True, gc=False):
    """A cleaned hostinfo: the JSON to keep, and what our own decisions need of it."""

    json: bytes = b"{}"
    hostname: str = ""
    os: str = ""
    routable_ips: tuple[str, ...] = ()
    request_tags: tuple[str, ...] = ()
    home_derp: int = 0
    """`NetInfo.PreferredDERP`; 0 means unknown."""
    has_net_info: bool = False
    ipn_version: str = ""


def read_hostinfo(value: object) -> Hostinfo:
    """Read a hostinfo as decoded from a request; None is an empty one.

    Raises:
        BadRequestError: a member has a wrong type.
    """
    if value is None:
        return Hostinfo()
    if not isinstance(value, dict):
        raise BadRequestError("Hostinfo is not an object")
    return _summary(_clean(Fields(value, "Hostinfo."), _HOSTINFO))


def load_hostinfo(json: bytes) -> Hostinfo:
    """Read back what `read_hostinfo` made and somebody kept; empty bytes are an empty one."""
    return Hostinfo() if not json else _summary(_decode(json))


def keep_net_info(new: Hostinfo, old: Hostinfo) -> Hostinfo:
    """The new hostinfo; one that came without NetInfo keeps the old one's (statement 68 of the protocol)."""
    if new.has_net_info or not old.has_net_info:
        return new
    return _summary({**_decode(new.json), "NetInfo": _decode(old.json)["NetInfo"]})


def for_peers(json: bytes) -> bytes:
    """The part of a kept hostinfo that other nodes are shown."""
    if not json:
        return b"{}"
    return _encode({name: value for name, value in _decode(json).items() if name not in _PRIVATE})


def _decode(json: bytes) -> dict[str, Any]:
    return decode_object(json)


def _summary(clean: dict[str, Any]) -> Hostinfo:
    net = clean.get("NetInfo")
    return Hostinfo(
        json=_encode(clean),
        hostname=clean.get("Hostname", ""),
        os=clean.get("OS", ""),
        routable_ips=tuple(clean.get("RoutableIPs", ())),
        request_tags=tuple(clean.get("RequestTags", ())),
        home_derp=net.get("PreferredDERP", 0) if net else 0,
        has_net_info=net is not None,
        ipn_version=clean.get("IPNVersion", ""),
    )


def _clean(fields: Fields, readers: _Readers) -> dict[str, Any]:
    """The members that are known and say something. Costs by what was sent, not by what could be."""
    clean: dict[str, Any] = {}
    for lower in fields.names():
        if (known := readers.get(lower)) is not None:
            name, read = known
            value = read(fields, name)
            if value or value is False or (name in _KEPT_EMPTY and value is not None):
                clean[name] = value
    return clean


def _flag(fields: Fields, name: str) -> bool | None:
    return fields.flag(name) or None


def _tristate(fields: Fields, name: str) -> bool | None:
    value = fields.raw(name)
    if value in (None, "", "unset"):
        return None
    if not isinstance(value, bool):
        raise fields.wrong(name, "is not a truth value")
    return value


def _routes(fields: Fields, name: str) -> list[str]:
    return list(dict.fromkeys(fields.texts(name, MAX_ROUTES, parse_prefix)))


def _tags(fields: Fields, name: str) -> list[str]:
    return list(dict.fromkeys(fields.texts(name, MAX_TAGS)))


def _services(fields: Fields, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for item in fields.items(name, MAX_SERVICES):
        if not isinstance(item, dict):
            raise fields.wrong(name, "holds something that is not an object")
        service = Fields(item, "Hostinfo.Services.")
        entry: dict[str, Any] = {"Proto": service.text("Proto", limit=32), "Port": service.number("Port", 0, 65535)}
        if description := service.text("Description"):
            entry["Description"] = description
        found.append(entry)
    return found


def _latencies(fields: Fields, name: str) -> dict[str, float] | None:
    found = fields.object(name)
    if found is None:
        return None
    return {clean_text(one, 32): _float(found, one) for one in sorted(found.names())[:MAX_LATENCIES]}


def _float(fields: Fields, name: str) -> float:
    value = fields.raw(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise fields.wrong(name, "is not a number of sense")
    return float(value)


def _nested(readers: _Readers) -> _Read:
    def read(fields: Fields, name: str) -> dict[str, Any] | None:
        members = fields.object(name)
        return None if members is None else _clean(members, readers)

    return read


def _number(low: int, high: int) -> _Read:
    return lambda fields, name: fields.number(name, low, high)


def _readers(*groups: tuple[_Read, str]) -> _Readers:
    return {name.lower(): (name, read) for read, names in groups for name in names.split()}


_NET_INFO = _readers(
    (_tristate, "MappingVariesByDestIP WorkingIPv6 OSHasIPv6 WorkingUDP WorkingICMPv4 UPnP PMP PCP"),
    (_flag, "HavePortMap"),
    (_number(0, MAX_REGION), "PreferredDERP"),
    (Fields.text, "LinkType FirewallMode"),
    (_latencies, "DERPLatency"),
)
_LOCATION = _readers(
    (Fields.text, "Country CountryCode City CityCode"),
    (_float, "Latitude Longitude"),
    (_number(-(1 << 31), MAX_REGION), "Priority"),
)
_TPM = _readers(
    (Fields.text, "Manufacturer Vendor FamilyIndicator"),
    (_number(0, 1 << 63), "Model FirmwareVersion SpecRevision"),
)
_HOSTINFO = _readers(
    (
        Fields.text,
        "IPNVersion FrontendLogID BackendLogID OS OSVersion Env Distro DistroVersion DistroCodeName App Package "
        "DeviceModel PushDeviceToken Hostname Machine GoArch GoArchVar GoVersion Cloud ServicesHash ExitNodeID",
    ),
    (_tristate, "Container Desktop Userspace UserspaceRouter AppConnector StateEncrypted"),
    (
        _flag,
        "ShieldsUp ShareeNode NoLogsNoSupport RemoteConfig WireIngress IngressEnabled AllowsUpdate PeerRelay",
    ),
    (_routes, "RoutableIPs"),
    (_tags, "RequestTags"),
    (lambda fields, name: list(fields.texts(name, 32)), "WoLMACs"),
    (lambda fields, name: list(fields.texts(name, 32, lambda key: clean_text(key, 2048))), "sshHostKeys"),
    (_services, "Services"),
    (_nested(_LOCATION), "Location"),
    (_nested(_TPM), "TPM"),
    (_nested(_NET_INFO), "NetInfo"),
)
_KEPT_EMPTY = frozenset(("NetInfo", "DERPLatency"))
"""That a client sent them says something even where they say nothing."""
