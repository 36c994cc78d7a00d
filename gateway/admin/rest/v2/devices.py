"""The operations of /api/v2 about devices."""

from __future__ import annotations

import grpc
from headscale.v1 import node_pb2
from smartscale.admin.v1 import device_pb2
from smartscale.admin.v1 import user_pb2 as user_admin_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types
from starlette.responses import Response

from gateway.admin.refusal import Refused, invalid
from gateway.admin.rest.v2.device import device, routes
from gateway.admin.rest.v2.operation import Operation, Question, answered, flag_member, required_texts, text_member

_DEVICES = "smartscale.admin.v1.DeviceAdminService."
_GET = _DEVICES + "GetDevice"
_LIST = _DEVICES + "ListDevices"
_USERS = "smartscale.admin.v1.UserAdminService.ListUsers"
_HEADSCALE = "headscale.v1.HeadscaleService."
_FIELDS = ("default", "all")


async def all_nodes(question: Question) -> list[node_types.Node]:
    """Return the records of all nodes, read in pages."""
    found: list[node_types.Node] = []
    while True:
        after = found[-1].id if found else 0
        page = await question.ask(_LIST, device_pb2.ListDevicesRequest(after=after))
        found += page.nodes
        if len(page.nodes) >= page.total or not page.nodes:
            return found


async def all_users(question: Question) -> dict[int, user_types.User]:
    """Return all users by id."""
    answer = await question.ask(_USERS, user_admin_pb2.ListUsersRequest())
    return {user.id: user for user in answer.users}


async def find_device(question: Question) -> device_pb2.GetDeviceResponse:
    """Return the device that the path names, with its owner.

    Raises:
        Refused: there is none.
    """
    request = device_pb2.GetDeviceRequest(device=question.path["device"])
    found: device_pb2.GetDeviceResponse = await question.ask(_GET, request)
    return found


def _whole(question: Question) -> bool:
    wanted = question.request.query_params.get("fields", "default")
    if wanted not in _FIELDS:
        raise invalid("fields", "neither default nor all")
    return wanted == "all"


async def _list(question: Question) -> Response:
    """List devices; every other parameter of the query narrows by a field, exactly."""
    whole = _whole(question)
    filters = [pair for pair in question.request.query_params.multi_items() if pair[0] != "fields"]
    users = await all_users(question)
    domain = question.tailnet.dns.base_domain
    found = [device(node, users.get(node.user_id), domain, whole=True) for node in await all_nodes(question)]
    known = {name for one in found for name in one} | _KNOWN
    for name, _ in filters:
        if name not in known:
            raise invalid(name, "devices have no such field to filter by")
    kept = [one for one in found if all(_matches(one.get(name), text) for name, text in filters)]
    return answered({"devices": kept if whole else [_without_more(one) for one in kept]})


_KNOWN = frozenset(device(node_types.Node(machine_key=bytes(32), node_key=bytes(32)), None, "", whole=True)) | {
    "tags",
    "lastSeen",
    "distro",
}
_MORE = ("advertisedRoutes", "enabledRoutes", "clientConnectivity", "sshEnabled", "distro")


def _without_more(one: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in one.items() if name not in _MORE}


def _matches(value: object, text: str) -> bool:
    if isinstance(value, list):
        return text in value
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    return isinstance(value, str) and value == text


async def _get(question: Question) -> Response:
    whole = _whole(question)
    found = await find_device(question)
    owner = found.user if found.HasField("user") else None
    return answered(device(found.node, owner, question.tailnet.dns.base_domain, whole=whole))


async def _delete(question: Question) -> Response:
    node = (await find_device(question)).node
    await question.ask(_HEADSCALE + "DeleteNode", node_pb2.DeleteNodeRequest(node_id=node.id))
    return answered({})


async def _expire(question: Question) -> Response:
    node = (await find_device(question)).node
    await question.ask(_HEADSCALE + "ExpireNode", node_pb2.ExpireNodeRequest(node_id=node.id))
    return answered({})


async def _authorize(question: Question) -> Response:
    wanted = flag_member(await question.body(), "authorized")
    await find_device(question)
    if not wanted:
        raise invalid("authorized", "devices of this server are always authorized; expire or delete it instead")
    return answered({})


async def _rename(question: Question) -> Response:
    """Rename a device; with an empty name, derive its name from the hostname again."""
    name = text_member(await question.body(), "name")
    domain = question.tailnet.dns.base_domain
    label = name.rstrip(".").removesuffix(f".{domain}") if domain else name
    if name and not label:
        raise invalid("name", "has no label")
    request = device_pb2.RenameDeviceRequest(device=question.path["device"], name=label)
    await question.ask(_DEVICES + "RenameDevice", request)
    return answered({})


async def _tag(question: Question) -> Response:
    tags = required_texts(await question.body(), "tags")
    node = (await find_device(question)).node
    if not tags:
        # Without tags it would have no owner: it keeps them until a user signs in. Terraform sends this at destroy.
        return answered({})
    await question.ask(_HEADSCALE + "SetTags", node_pb2.SetTagsRequest(node_id=node.id, tags=tags))
    return answered({})


async def _key(question: Question) -> Response:
    disabled = flag_member(await question.body(), "keyExpiryDisabled")
    request = device_pb2.SetDeviceKeyExpiryRequest(device=question.path["device"], disabled=disabled)
    await question.ask(_DEVICES + "SetDeviceKeyExpiry", request)
    return answered({})


async def _set_address(question: Question) -> Response:
    address = text_member(await question.body(), "ipv4")
    request = device_pb2.SetDeviceAddressRequest(device=question.path["device"], ipv4=address)
    try:
        await question.ask(_DEVICES + "SetDeviceAddress", request)
    except Refused as refusal:
        if refusal.code is grpc.StatusCode.ALREADY_EXISTS:  # the hosted service's status for it
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(refusal)) from None
        raise
    return answered({})


async def _routes(question: Question) -> Response:
    return answered(routes((await find_device(question)).node))


async def _set_routes(question: Question) -> Response:
    wanted = required_texts(await question.body(), "routes")
    node = (await find_device(question)).node
    request = node_pb2.SetApprovedRoutesRequest(node_id=node.id, routes=wanted)
    await question.ask(_HEADSCALE + "SetApprovedRoutes", request)
    return answered(routes((await find_device(question)).node))


_CORE, _READ = "devices:core", "devices:core:read"

OPERATIONS = (
    Operation(
        "GET", "/tailnet/{tailnet}/devices", "List devices", "devices", _list, _READ, ("fields",), answer="Devices"
    ),
    Operation("GET", "/device/{device}", "Get a device", "devices", _get, _READ, ("fields",), answer="Device"),
    Operation("DELETE", "/device/{device}", "Delete a device", "devices", _delete, _CORE),
    Operation("POST", "/device/{device}/expire", "Expire a device's key now", "devices", _expire, _CORE),
    Operation(
        "POST",
        "/device/{device}/authorized",
        "Authorize a device",
        "devices",
        _authorize,
        _CORE,
        body={"authorized": "boolean"},
    ),
    Operation("POST", "/device/{device}/name", "Rename a device", "devices", _rename, _CORE, body={"name": "string"}),
    Operation(
        "POST", "/device/{device}/tags", "Replace a device's tags", "devices", _tag, _CORE, body={"tags": "array"}
    ),
    Operation(
        "POST",
        "/device/{device}/key",
        "Disable or restore the expiry of a device's key",
        "devices",
        _key,
        _CORE,
        body={"keyExpiryDisabled": "boolean"},
    ),
    Operation(
        "POST",
        "/device/{device}/ip",
        "Set a device's IPv4 address",
        "devices",
        _set_address,
        _CORE,
        body={"ipv4": "string"},
    ),
    Operation(
        "GET",
        "/device/{device}/routes",
        "List a device's routes",
        "devices",
        _routes,
        "devices:routes:read",
        answer="Routes",
    ),
    Operation(
        "POST",
        "/device/{device}/routes",
        "Replace a device's enabled routes",
        "devices",
        _set_routes,
        "devices:routes",
        body={"routes": "array"},
        answer="Routes",
    ),
)
