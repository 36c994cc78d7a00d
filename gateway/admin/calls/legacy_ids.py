"""User ids as older clients give them: by name, in the place of today's id."""

from __future__ import annotations

from google.protobuf.message import Message

from gateway.admin.calls import legacy_requests
from gateway.admin.context import CallContext
from gateway.admin.services import Services


async def legacy_user_id(services: Services, call: CallContext, request: Message, user_id: int) -> int:
    """Return the user id of a request, or that of the user whose name an older client sent in field 1.

    Raises:
        Refused: no user has this name.
    """
    name = legacy_requests.text(request, 1)
    return user_id if name is None else (await services.user_named(call, name)).id
