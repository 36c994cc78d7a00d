"""By which login a node is in: which identity signed in for it, when the provider last vouched, and until when.

It outlives the sign-in itself. Whatever ends or changes a login later (the provider's word at a refresh, a logout that
it tells us of) finds here which nodes that concerns. Whose the identity is says the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.shared.ids import NodeId


@dataclass(frozen=True, slots=True)
class NodeLogin:
    """The login that let a node in; the newest one counts."""

    node_id: NodeId
    provider: str
    """Its name in the configuration; empty for the default."""
    issuer: str
    subject: str
    sid: str
    """The provider's name of the session in the browser; empty: not said."""
    started_at: datetime
    checked_at: datetime
    """When the provider last vouched for the person."""
    ends_at: datetime | None = None
    """When the sign-in said that the node's key must end; None: it did not."""
