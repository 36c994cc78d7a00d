"""What of a tailnet is read when it is scraped: queues, the window, how far it is. Costs nothing in between."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.map_streamer.session import Stage
from services.map_streamer.tailnet import Tailnet

_PREFIX = "smartscale_map_streamer_"


class TailnetCollector(Collector):
    """Reads one tailnet."""

    def __init__(self, tailnet: Tailnet) -> None:
        self._tailnet = tailnet

    def collect(self) -> Iterator[Metric]:
        """All gauges of the map streamer."""
        yield from self._stages()
        yield from self._queues()
        yield from self._positions()
        yield GaugeMetricFamily(
            f"{_PREFIX}window_seconds",
            "Pause between two fan-outs now; grows with what they cost.",
            value=self._tailnet.window.pause,
        )

    def _stages(self) -> Iterator[Metric]:
        counted = dict.fromkeys(Stage, 0)
        paused = 0
        for session in self._tailnet.roster.all():
            counted[session.stage] += 1
            paused += session.paused
        stages = GaugeMetricFamily(
            f"{_PREFIX}session_stages", "Sessions that are live, held at an older view, or wait for a full map.",
            labels=["stage"],
        )  # fmt: skip
        for stage, count in counted.items():
            stages.add_metric([stage.value], count)
        yield stages
        yield GaugeMetricFamily(f"{_PREFIX}sessions_paused", "Sessions whose client reads slowly.", value=paused)

    def _queues(self) -> Iterator[Metric]:
        boxes = [gateway.outbox for gateway in self._tailnet.roster.gateways()]
        yield GaugeMetricFamily(
            f"{_PREFIX}queued_messages", "Messages that wait for gateways to take them.", value=sum(map(len, boxes))
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}queued_bytes", "Bytes of those messages.", value=sum(box.bytes for box in boxes)
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}congested_gateways", "Gateways that get no more deltas until they have read.",
            value=sum(box.congested for box in boxes),
        )  # fmt: skip

    def _positions(self) -> Iterator[Metric]:
        read, told = self._tailnet.position, self._tailnet.view.cursor
        position = GaugeMetricFamily(f"{_PREFIX}position", "Number of the newest change read, by log.", labels=["log"])
        lag = GaugeMetricFamily(f"{_PREFIX}untold", "Changes read and not yet told, by log.", labels=["log"])
        for name, newest, last in (
            ("registry", read.registry, told.registry),
            ("policy", read.policy, told.policy),
        ):
            position.add_metric([name], newest)
            lag.add_metric([name], newest - last)
        yield from (position, lag)
