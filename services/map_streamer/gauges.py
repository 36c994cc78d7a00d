"""Gauges that are read at each scrape: queues, coalescing window, positions in the logs."""

from __future__ import annotations

from collections.abc import Iterator

from services.map_streamer.session import SessionStage
from services.map_streamer.tailnet import Tailnet
from services.shared.telemetry.instruments import Collector, GaugeMetricFamily, Metric

_PREFIX = "smartscale_map_streamer_"


class TailnetCollector(Collector):
    """Collector of the gauges of one tailnet."""

    def __init__(self, tailnet: Tailnet) -> None:
        self._tailnet = tailnet

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge of the map streamer."""
        yield from self._stages()
        yield from self._queues()
        yield from self._positions()
        yield GaugeMetricFamily(
            f"{_PREFIX}window_seconds",
            "Current pause between two fan-outs; grows with their cost.",
            value=self._tailnet.window.pause,
        )

    def _stages(self) -> Iterator[Metric]:
        counted = dict.fromkeys(SessionStage, 0)
        paused = 0
        for session in self._tailnet.roster.all():
            counted[session.stage] += 1
            paused += session.paused
        stages = GaugeMetricFamily(
            f"{_PREFIX}session_stages", "Sessions that are live, behind the current view, or wait for a full map.",
            labels=["stage"],
        )  # fmt: skip
        for stage, count in counted.items():
            stages.add_metric([stage.value], count)
        yield stages
        yield GaugeMetricFamily(
            f"{_PREFIX}sessions_paused", "Sessions that are paused because their client reads slowly.", value=paused
        )

    def _queues(self) -> Iterator[Metric]:
        boxes = [gateway.outbox for gateway in self._tailnet.roster.gateways()]
        yield GaugeMetricFamily(
            f"{_PREFIX}queued_messages", "Messages queued for gateways.", value=sum(map(len, boxes))
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}queued_bytes", "Bytes of the queued messages.", value=sum(box.bytes for box in boxes)
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}congested_gateways", "Gateways that are sent no deltas until their queue is shorter.",
            value=sum(box.congested for box in boxes),
        )  # fmt: skip

    def _positions(self) -> Iterator[Metric]:
        read, sent = self._tailnet.position, self._tailnet.view.cursor
        position = GaugeMetricFamily(f"{_PREFIX}position", "Number of the newest change read, by log.", labels=["log"])
        lag = GaugeMetricFamily(f"{_PREFIX}unsent_changes", "Changes read and not yet sent, by log.", labels=["log"])
        for name, newest, last in (
            ("registry", read.registry, sent.registry),
            ("policy", read.policy, sent.policy),
        ):
            position.add_metric([name], newest)
            lag.add_metric([name], newest - last)
        yield from (position, lag)
