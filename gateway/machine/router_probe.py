"""Probes connected nodes whose routes another node can take over. Decides when; the edge asks and cuts connections.

The registry names the nodes. Each is probed once per interval, at its own offset, so that probes are spread and no
interval asks all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.exchange import StreamWriter
from gateway.machine.session import Cancellable

STEPS = 10
"""Parts of an interval over which the probes are spread."""


class ProbedSession(Protocol):
    """A map session, as probes use it."""

    @property
    def writer(self) -> StreamWriter | None:
        """The response body that is probed; None before the session is accepted."""
        ...


class ProbedSessions(Protocol):
    """The map sessions of this gateway, as probes use them."""

    def of_node(self, node_id: int) -> ProbedSession | None:
        """Return the session of a node, if it has one here."""
        ...


class RouterProbe:
    """Probes in a cycle of `interval` seconds; a node that does not answer within `timeout` seconds is lost."""

    def __init__(
        self,
        sessions: ProbedSessions,
        timer: Callable[[float, Callable[[], None]], Cancellable],
        interval: float,
        timeout: float,
    ) -> None:
        """`timer` calls back once after some seconds; nothing is armed while there is no node to probe."""
        self._sessions, self._timer = sessions, timer
        self._pause, self._timeout = interval / STEPS, timeout
        self._nodes: frozenset[int] = frozenset()
        self._step = 0
        self._armed: Cancellable | None = None

    @property
    def nodes(self) -> frozenset[int]:
        """The nodes that are probed, here or at other gateways."""
        return self._nodes

    def set_nodes(self, nodes: frozenset[int]) -> None:
        """Replace the nodes to probe."""
        self._nodes = nodes
        if nodes and self._armed is None:
            self._arm()

    def stop(self) -> None:
        """Probe no more."""
        self._nodes = frozenset()
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _arm(self) -> None:
        self._armed = self._timer(self._pause, self._probe)

    def _probe(self) -> None:
        self._step = (self._step + 1) % STEPS
        for node_id in self._nodes:
            if node_id % STEPS == self._step:
                session = self._sessions.of_node(node_id)
                if session is not None and session.writer is not None:
                    session.writer.probe(self._timeout)
        self._armed = None
        if self._nodes:
            self._arm()
