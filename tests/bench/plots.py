"""Plots as SVG, written by hand: bars against a target, and lines on logarithmic axes. Owns no figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

_COLOURS = ("#2f6db5", "#d9822b", "#3a9a5b", "#8a4fb0")
_STYLE = "text{font:12px sans-serif;fill:#333}.t{font-weight:bold;font-size:14px}.s{fill:#777;font-size:11px}"


def _svg(width: int, height: int, title: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{_STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text class="t" x="16" y="24">{escape(title)}</text>'
    )
    return "\n".join([head, *body, "</svg>"]) + "\n"


def _legend(names: Sequence[str], x: int, y: int) -> list[str]:
    out = []
    for index, name in enumerate(names):
        at = x + index * 110
        out.append(f'<rect x="{at}" y="{y - 9}" width="10" height="10" fill="{_COLOURS[index]}"/>')
        out.append(f'<text x="{at + 15}" y="{y}">{escape(name)}</text>')
    return out


def bars(title: str, rows: Sequence[tuple[str, Mapping[str, float]]], names: Sequence[str]) -> str:
    """Shares of a target, 1 being the target; longer than two is cut and says so."""
    left, scale, high = 300, 190, 14
    body = _legend(names, left, 44)
    y = 62
    for label, values in rows:
        body.append(
            f'<text x="{left - 8}" y="{y + high * len(values) / 2 + 4}" text-anchor="end">{escape(label)}</text>'
        )
        for index, name in enumerate(names):
            if (value := values.get(name)) is None:
                continue
            width = min(value, 2.0) * scale
            body.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{high - 2}" fill="{_COLOURS[index]}"/>')
            body.append(f'<text class="s" x="{left + width + 4:.1f}" y="{y + 10}">{value:.2f}</text>')
            y += high
        y += 8
    mark = left + scale
    body.append(f'<line x1="{mark}" x2="{mark}" y1="52" y2="{y}" stroke="#b33" stroke-dasharray="4 3"/>')
    body.append(f'<text class="s" x="{mark + 3}" y="{y + 12}">the target</text>')
    return _svg(left + 2 * scale + 60, y + 24, title, body)


def lines(title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Curves with both axes logarithmic."""
    points = [point for curve in series.values() for point in curve]
    x0, x1 = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    y0, y1 = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))
    width, height, left, top = 560, 300, 80, 60

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (log10(x) - x0) / (x1 - x0 or 1) * width, top + (y1 - log10(y)) / (y1 - y0 or 1) * height

    body = _legend(list(series), left, 46)
    for power in range(y0, y1 + 1):
        _, y = place(10**x0, 10.0**power)
        body.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        body.append(f'<text class="s" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for x_value in sorted({x for x, _ in points}):
        x, _ = place(x_value, 10.0**y0)
        body.append(f'<text class="s" x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{x_value:g}</text>')
    for index, curve in enumerate(series.values()):
        at = [place(x, y) for x, y in sorted(curve)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        body.append(f'<polyline points="{path}" fill="none" stroke="{_COLOURS[index]}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_COLOURS[index]}"/>' for x, y in at]
    body.append(f'<text x="{left + width / 2}" y="{top + height + 34}" text-anchor="middle">{escape(x_label)}</text>')
    body.append(f'<text class="s" x="16" y="{top - 8}">{escape(y_label)}</text>')
    return _svg(left + width + 30, top + height + 50, title, body)
