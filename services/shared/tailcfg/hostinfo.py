"""Hostinfo, a client's description of its device: the only reader of the sent and of the stored form.

Reading keeps the members that the protocol knows, in their canonical spelling and type; the rest is dropped. Text loses
control characters and is cut, because a device with an odd name should still join; a member of a wrong type is refused.
Knows neither routes nor tags beyond their text: whoever grants them checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from services.shared.tailcfg.address import parse_prefix
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.untrusted import JsonFields, clean_text, decode_object

MAX_ROUTES = 1024
MAX_TAGS = 256
MAX_SERVICES = 256
MAX_LATENCIES = 4096
MAX_REGION = (1 << 31) - 1
MAX_NUMBER = 1e12
"""Of latencies and coordinates; excludes infinity and NaN, which JSON cannot say."""

_Read = Callable[[JsonFields, str], Any]
_Readers = Mapping[str, tuple[str, _Read]]
"""Canonical spelling and reader of each member, by its lower-case name."""

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
"""Members that are never sent to peers."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class NetInfo(msgspec.Struct, frozen=True, gc=False):
    """The network conditions of a node, as far as this server acts on them."""

    preferred_derp: int = msgspec.field(default=0, name="PreferredDERP")
    """The home DERP region; 0 means unknown."""


class Hostinfo(msgspec.Struct, frozen=True, gc=False):
    """A cleaned hostinfo: the JSON to store, and the members that this server acts on. No other record repeats them."""

    json: bytes = b"{}"
    """All members that are kept, in a fixed order: equal texts are equal hostinfos."""
    hostname: str = msgspec.field(default="", name="Hostname")
    os: str = msgspec.field(default="", name="OS")
    os_version: str = msgspec.field(default="", name="OSVersion")
    ipn_version: str = msgspec.field(default="", name="IPNVersion")
    allows_update: bool = msgspec.field(default=False, name="AllowsUpdate")
    """Left out on the wire when false, so that absence is false."""
    state_encrypted: bool | None = msgspec.field(default=None, name="StateEncrypted")
    """None: the client does not know."""
    routable_ips: tuple[str, ...] = msgspec.field(default=(), name="RoutableIPs")
    """Advertised routes in the client's order, host bits cleared."""
    request_tags: tuple[str, ...] = msgspec.field(default=(), name="RequestTags")
    """Requested tags in the client's order; their form is not checked."""
    net_info: NetInfo | None = msgspec.field(default=None, name="NetInfo")
    """None: the client left it out, which it does while nothing changed (statement 68 of the protocol)."""

    @property
    def home_derp(self) -> int:
        """The home DERP region; 0 means unknown."""
        return 0 if self.net_info is None else self.net_info.preferred_derp


_decode_kept = msgspec.json.Decoder(Hostinfo).decode


def read_hostinfo(value: object) -> Hostinfo:
    """Read and clean a hostinfo as decoded from a request; None is an empty one.

    Raises:
        ClientRequestError: a member has a wrong type.
    """
    if value is None:
        return Hostinfo()
    if not isinstance(value, dict):
        raise ClientRequestError("Hostinfo is not an object")
    return _of(_clean(JsonFields(value, "Hostinfo."), _HOSTINFO))


def load_hostinfo(json: bytes) -> Hostinfo:
    """Read the stored JSON of a hostinfo that `read_hostinfo` cleaned; empty bytes are an empty one.

    Raises:
        ClientRequestError: it is not such JSON.
    """
    if not json:
        return Hostinfo()
    try:
        return msgspec.structs.replace(_decode_kept(json), json=json)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ClientRequestError("not a stored hostinfo") from None


def keep_net_info(new: Hostinfo, old_json: bytes) -> Hostinfo:
    """Return the new hostinfo; without a NetInfo of its own it keeps the stored one's (protocol statement 68)."""
    if new.net_info is not None or not old_json:
        return new
    old = decode_object(old_json).get("NetInfo")
    if old is None:
        return new
    json = _encode({**decode_object(new.json), "NetInfo": old})
    return msgspec.structs.replace(new, json=json, net_info=msgspec.convert(old, NetInfo))


def for_peers(json: bytes) -> bytes:
    """Return the part of a stored hostinfo that other nodes are shown."""
    if not json:
        return b"{}"
    return _encode({name: value for name, value in decode_object(json).items() if name not in _PRIVATE})


def _of(clean: dict[str, Any]) -> Hostinfo:
    return msgspec.structs.replace(msgspec.convert(clean, Hostinfo), json=_encode(clean))


def _clean(fields: JsonFields, readers: _Readers) -> dict[str, Any]:
    """Return the known members that are not empty. The cost grows with what was sent, not with what is known."""
    clean: dict[str, Any] = {}
    for lower in fields.names():
        if (known := readers.get(lower)) is not None:
            name, read = known
            value = read(fields, name)
            if value or value is False or (name in _KEPT_EMPTY and value is not None):
                clean[name] = value
    return clean


def _flag(fields: JsonFields, name: str) -> bool | None:
    return fields.flag(name) or None


def _tristate(fields: JsonFields, name: str) -> bool | None:
    value = fields.raw(name)
    if value in (None, "", "unset"):
        return None
    if not isinstance(value, bool):
        raise fields.wrong(name, "is neither true nor false")
    return value


def _routes(fields: JsonFields, name: str) -> list[str]:
    return list(dict.fromkeys(fields.texts(name, MAX_ROUTES, parse_prefix)))


def _tags(fields: JsonFields, name: str) -> list[str]:
    return list(dict.fromkeys(fields.texts(name, MAX_TAGS)))


def _services(fields: JsonFields, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for item in fields.items(name, MAX_SERVICES):
        if not isinstance(item, dict):
            raise fields.wrong(name, "holds something that is not an object")
        service = JsonFields(item, "Hostinfo.Services.")
        entry: dict[str, Any] = {"Proto": service.text("Proto", limit=32), "Port": service.number("Port", 0, 65535)}
        if description := service.text("Description"):
            entry["Description"] = description
        found.append(entry)
    return found


def _latencies(fields: JsonFields, name: str) -> dict[str, float] | None:
    found = fields.object(name)
    if found is None:
        return None
    return {
        clean_text(region, 32): _number_of(found, region, value)
        for region, value in sorted(found.members())[:MAX_LATENCIES]
    }


def _float(fields: JsonFields, name: str) -> float:
    value = fields.raw(name)
    return 0.0 if value is None else _number_of(fields, name, value)


def _number_of(fields: JsonFields, name: str, value: object) -> float:
    if type(value) is float and abs(value) < MAX_NUMBER:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise fields.wrong(name, "is not a number of sense")
    return float(value)


def _nested(readers: _Readers) -> _Read:
    def read(fields: JsonFields, name: str) -> dict[str, Any] | None:
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
    (JsonFields.text, "LinkType FirewallMode"),
    (_latencies, "DERPLatency"),
)
_LOCATION = _readers(
    (JsonFields.text, "Country CountryCode City CityCode"),
    (_float, "Latitude Longitude"),
    (_number(-(1 << 31), MAX_REGION), "Priority"),
)
_TPM = _readers(
    (JsonFields.text, "Manufacturer Vendor FamilyIndicator"),
    (_number(0, 1 << 63), "Model FirmwareVersion SpecRevision"),
)
_HOSTINFO = _readers(
    (
        JsonFields.text,
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
"""Kept even when empty: a client that sent them has stated something."""
