"""What a node says of itself: read with suspicion, kept clean and bounded, relayed to peers in part.

Reading keeps the members that the protocol knows, in their right spelling and type; the rest is dropped. Text loses
control characters and is cut, because a device with an odd name should still join; a member of a wrong type is refused.
"""

from __future__ import annotations

from collections.abc import Callable
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

# fmt: off
_TEXTS = (
    "IPNVersion", "FrontendLogID", "BackendLogID", "OS", "OSVersion", "Env", "Distro", "DistroVersion",
    "DistroCodeName", "App", "Package", "DeviceModel", "PushDeviceToken", "Hostname", "Machine", "GoArch",
    "GoArchVar", "GoVersion", "Cloud", "ServicesHash", "ExitNodeID",
)
_TRISTATES = (
    "Container", "Desktop", "Userspace", "UserspaceRouter", "AppConnector", "StateEncrypted",
)
_FLAGS = (
    "ShieldsUp", "ShareeNode", "NoLogsNoSupport", "RemoteConfig", "WireIngress", "IngressEnabled", "AllowsUpdate",
    "PeerRelay",
)
_NET_TRISTATES = (
    "MappingVariesByDestIP", "WorkingIPv6", "OSHasIPv6", "WorkingUDP", "WorkingICMPv4", "UPnP", "PMP", "PCP",
)
# fmt: on
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
    return _summary(_clean(Fields(value, "Hostinfo.")))


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


def _clean(fields: Fields) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    _put(clean, _TEXTS, fields.text)
    _put(clean, _TRISTATES, lambda name: _tristate(fields, name), keep_false=True)
    _put(clean, _FLAGS, fields.flag)
    _put(clean, ("RoutableIPs",), lambda name: list(dict.fromkeys(fields.texts(name, MAX_ROUTES, parse_prefix))))
    _put(clean, ("RequestTags",), lambda name: list(dict.fromkeys(fields.texts(name, MAX_TAGS))))
    _put(clean, ("WoLMACs",), lambda name: list(fields.texts(name, 32)))
    _put(clean, ("sshHostKeys",), lambda name: list(fields.texts(name, 32, lambda key: clean_text(key, 2048))))
    _put(clean, ("Services",), lambda name: _services(fields, name))
    _put(clean, ("Location",), lambda name: _location(fields.object(name)))
    _put(clean, ("TPM",), lambda name: _tpm(fields.object(name)))
    net = fields.object("NetInfo")
    if net is not None:
        clean["NetInfo"] = _net_info(net)
    return clean


def _put(
    clean: dict[str, Any], names: tuple[str, ...] | list[str], read: Callable[[str], Any], keep_false: bool = False
) -> None:
    for name in names:
        value = read(name)
        if value or (keep_false and value is False):
            clean[name] = value


def _tristate(fields: Fields, name: str) -> bool | None:
    value = fields.raw(name)
    if value in (None, "", "unset"):
        return None
    if not isinstance(value, bool):
        raise fields.wrong(name, "is not a truth value")
    return value


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


def _location(fields: Fields | None) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    if fields is not None:
        _put(clean, ("Country", "CountryCode", "City", "CityCode"), fields.text)
        _put(clean, ("Latitude", "Longitude"), lambda name: _float(fields, name))
        _put(clean, ("Priority",), lambda name: fields.number(name, -(1 << 31), MAX_REGION))
    return clean


def _tpm(fields: Fields | None) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    if fields is not None:
        _put(clean, ("Manufacturer", "Vendor", "FamilyIndicator"), fields.text)
        _put(clean, ("Model", "FirmwareVersion", "SpecRevision"), lambda name: fields.number(name, 0, 1 << 63))
    return clean


def _net_info(fields: Fields) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    _put(clean, _NET_TRISTATES, lambda name: _tristate(fields, name), keep_false=True)
    _put(clean, ("HavePortMap",), fields.flag)
    _put(clean, ("PreferredDERP",), lambda name: fields.number(name, 0, MAX_REGION))
    _put(clean, ("LinkType", "FirewallMode"), fields.text)
    latencies = fields.object("DERPLatency")
    if latencies is not None:
        clean["DERPLatency"] = {
            clean_text(name, 32): _float(latencies, name) for name in sorted(latencies.names())[:MAX_LATENCIES]
        }
    return clean


def _float(fields: Fields, name: str) -> float:
    value = fields.raw(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise fields.wrong(name, "is not a number of sense")
    return float(value)
