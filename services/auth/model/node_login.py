"""The login that admitted a node: the identity that signed in, when the provider last verified it, and its end.

It outlives the sign-in. Later events about a login (a refresh, a logout at the provider) find the affected nodes by it.
The user of an identity is the registry's to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.shared.ids import NodeId


@dataclass(frozen=True, slots=True)
class NodeLogin:
    """The newest login that admitted a node."""

    node_id: NodeId
    provider: str
    """Its name in the configuration; empty for the default."""
    issuer: str
    subject: str
    sid: str
    """The provider's session id; empty: not sent."""
    started_at: datetime
    checked_at: datetime
    """When the provider last verified the person."""
    ends_at: datetime | None = None
    """The expiry that the sign-in set for the node's key; None: it set none."""
