"""Drawings of a report as SVG text, which a page holds by itself."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from cmim.suite.rows import Row

# Costs that figures are drawn against: what the axis says, and its unit.
COSTS = {
    "ops": ("10⁹ operations an image (binary ones / 64)", 1e9),
    "memory_mbit": ("weights (Mbit)", 1.0),
    "ms": ("latency an image (ms, OpenVINO, CPU)", 1.0),
}
# Values that a curve is drawn with.
POINTS = 120
# Inches, without the legend, and characters of a title that leaves room for another.
HEIGHT, SHORT = 3.1, 22


def title_of(row: Row) -> str:
    """A row's labels in a few words."""
    return ", ".join(row.labels.values())


def loss_curves(rows: Sequence[Row]) -> str:
    """Training losses, mean of the seeds, smoothed over a fiftieth of the run."""
    figure, axes = _figure()
    named: list[tuple[Any, str]] = []
    for row in rows:
        traces = [record.get("trace") for record in row.records]
        known = [np.array(t["loss"]) for t in traces if t and t["loss"]]
        if not known:
            continue
        length = min(map(len, known))
        mean = np.mean([trace[:length] for trace in known], axis=0)
        width = max(1, length // 50)
        smooth = np.convolve(mean, np.ones(width) / width, mode="valid")
        chosen = np.linspace(0, len(smooth) - 1, min(POINTS, len(smooth))).astype(int)
        every = row.records[0]["trace"]["every"]
        (line,) = axes.plot((chosen + width) * every, smooth[chosen], lw=1.2)
        named.append((line, title_of(row)))
    axes.set(xlabel="step", ylabel="loss of the training")
    return _svg(figure, named, "Losses of the training by step")


def pareto_front(rows: Sequence[Row], metric: str, higher: bool, cost: str) -> str:
    """A figure against a cost; what no other row beats in both is joined by a line.

    Args:
        rows: Those without the cost or the figure are left out.
        metric: Name of the test figure.
        higher: Larger figures are better.
        cost: One of :data:`COSTS`; on a logarithmic axis beyond a factor of ten.
    """
    figure, axes = _figure()
    points: list[tuple[float, float]] = []
    named: list[tuple[Any, str]] = []
    label, unit = COSTS[cost]
    for row in rows:
        price = price_of(row, cost)
        spread = row.figures.get(metric)
        if price and spread is not None:
            price = price / unit
            points.append((price, spread.mean))
            error = None if np.isnan(spread.deviation) else spread.deviation
            mark = axes.errorbar(price, spread.mean, yerr=error, fmt="o")
            named.append((mark, title_of(row)))
    front = front_of(points, higher)
    axes.plot(*zip(*front, strict=True), color="0.6", lw=1, zorder=0)
    prices = [price for price, _ in points]
    wide = bool(prices) and max(prices) > 10 * min(prices)
    axes.set(xlabel=label, ylabel=metric, xscale="log" if wide else "linear")
    return _svg(figure, named, f"{metric} against {label}")


def price_of(row: Row, cost: str) -> float | None:
    """A cost of a row's first run, as far as it is known.

    Args:
        row: Of any suite.
        cost: One of :data:`COSTS`.
    """
    first = row.records[0]
    found = first.get("latency") if cost == "ms" else first.get("cost")
    return (found or {}).get(cost)


def front_of(
    points: Sequence[tuple[float, float]], higher: bool
) -> list[tuple[float, float]]:
    """Points that no other one beats: at no more cost a better figure.

    Examples:
        >>> front_of([(1, 5.0), (2, 4.0), (3, 7.0), (3, 6.0)], higher=True)
        [(1, 5.0), (3, 7.0)]
    """
    sign = 1 if higher else -1
    found: list[tuple[float, float]] = []
    for price, value in sorted(points, key=lambda p: (p[0], -sign * p[1])):
        if not found or sign * value > sign * found[-1][1]:
            found.append((price, value))
    return found


def _figure():
    # So narrow that its text can be read on a telephone.
    figure = Figure(figsize=(4.4, HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(labelsize=9.5)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure, named: Sequence[tuple[Any, str]], what: str) -> str:
    """The drawing without its XML head, with a title for those who cannot see it.

    Args:
        figure: With one drawing.
        named: What the legend explains, and by which words.
        what: The title.
    """
    (axes,) = figure.axes
    texts = [axes.xaxis.label, axes.yaxis.label]
    if named:
        handles, titles = zip(*named, strict=True)
        # Below the drawing, however many rows there are, and however long they are.
        columns = 2 if max(map(len, titles)) <= SHORT else 1
        figure.set_figheight(HEIGHT + 0.21 * math.ceil(len(titles) / columns))
        legend = figure.legend(
            handles, ["row"] * len(titles), loc="outside lower center", ncols=columns,
            fontsize=9.5, frameon=False,
        )  # fmt: skip
        # Said now, since a legend leaves out labels that begin with an underscore.
        for text, title in zip(legend.get_texts(), titles, strict=True):
            text.set_text(title)
        texts += legend.get_texts()
    for text in texts:
        # Dollars in names begin no formula.
        text.set_parse_math(False)
    out = io.StringIO()
    # Text stays text: it is found, and read aloud.
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Title": what})
    drawn = out.getvalue()
    svg = drawn[drawn.index("<svg") :]
    label = html.escape(what, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
