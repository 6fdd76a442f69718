"""Small multiples: what each method's binarizers do, forward and backward."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cmim.analysis.colours import GREYS, GRID, INK, MUTED, ORANGE, TEALS
from cmim.analysis.method_curves import (
    LIMIT,
    PROGRESS,
    Curve,
    activation_curves,
    weight_curves,
)
from cmim.methods import Method, available_methods, get_method

# Pale to dark as training proceeds; None is a binarizer without a schedule.
TIMES = (None, *PROGRESS)
FORWARD = dict(zip(TIMES, (INK, *GREYS), strict=True))
GRADIENT = dict(zip(TIMES, (ORANGE, *TEALS), strict=True))
LINE: dict[str, Any] = dict(linewidth=1.3)
DOTS: dict[str, Any] = dict(linestyle="none", marker="o", markersize=1.4)
PER_ROW = 3
# Of a method's part of the picture, on both sides.
MARGIN = 0.085


def _distinct(curves: list[Curve]) -> list[Curve]:
    """Curves without those whose forward pass is that of a later one."""
    kept: list[Curve] = []
    for curve in reversed(curves):
        if not any(torch.equal(curve.forward, other.forward) for other in kept):
            kept.append(curve)
    return kept[::-1]


def _is_mixed(curve: Curve) -> bool:
    """The output follows the other values more than x, as behind a rotation."""
    return int((curve.forward.diff() < -1e-9).sum()) > 10


def _set_scale(axes: Axes, room: float, values: torch.Tensor) -> None:
    values = values.nan_to_num(0, 0, 0)
    limit = room * (float(values.abs().max()) or 1.0)
    axes.set_ylim(-limit, limit)
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(-limit, limit)
    # No numbers where nothing is; statistics leave a trace of a gradient everywhere.
    low = -limit if values.min() < -0.02 * limit else 0
    axes.set_yticks([tick for tick in ticks if low <= tick <= limit])
    axes.tick_params(length=2, width=0.6, labelsize=7, color=MUTED)


def _draw_panel(axes: Axes, curves: list[Curve], what: str) -> None:
    axes.set_title(what, fontsize=8.5, color=INK, pad=3)
    axes.set_xlim(-LIMIT, LIMIT)
    for side in axes.spines.values():
        side.set_color(GRID)
    if not curves:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5,
            0.5,
            "full precision",
            color=MUTED,
            fontsize=9,
            ha="center",
            va="center",
            transform=axes.transAxes,
        )
        return
    right = axes.twinx()
    right.spines[:].set_color(GRID)
    axes.axhline(0, color=GRID, linewidth=0.8, zorder=0)
    axes.axvline(0, color=GRID, linewidth=0.8, zorder=0)
    style = DOTS if _is_mixed(curves[-1]) else LINE
    for curve in curves:
        right.plot(curve.x, curve.gradient, color=GRADIENT[curve.progress], **style)
    for curve in _distinct(curves):
        axes.plot(curve.x, curve.forward, color=FORWARD[curve.progress], **style)
    # Symmetric, so that both zeros lie on one line; the gradient lower, so that it is
    # not hidden by the forward line.
    _set_scale(axes, 1.2, torch.stack([curve.forward for curve in curves]))
    _set_scale(right, 1.6, torch.stack([curve.gradient for curve in curves]))
    axes.set_xticks([-2, -1, 0, 1, 2])
    axes.tick_params(labelcolor=INK)
    color = GRADIENT[None if curves[0].progress is None else 1.0]
    right.tick_params(axis="y", labelcolor=color)
    # The forward line above the gradient's, and both above the grid.
    axes.set_zorder(right.get_zorder() + 1)
    axes.patch.set_visible(False)


def _draw_method(figure: SubFigure, method: Method) -> list[Curve]:
    source = method.paper.split(" https://")[0].rstrip(".")
    figure.text(MARGIN, 0.93, method.name, fontsize=11, weight="bold", color=INK)
    source = textwrap.shorten(source, 70, placeholder=" ...")
    figure.text(1 - MARGIN, 0.93, source, fontsize=7.5, color=MUTED, ha="right")
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(
        left=MARGIN, right=1 - MARGIN, top=0.78, bottom=0.13, wspace=0.38
    )
    sides = {"activations": activation_curves(method), "weights": weight_curves(method)}
    for axes, (what, curves) in zip((left, right), sides.items(), strict=True):
        _draw_panel(axes, curves, what)
    return [*_distinct(sides["activations"]), *_distinct(sides["weights"])]


def _draw_legend(figure: SubFigure, forward_times: set[float | None]) -> None:
    left = MARGIN / PER_ROW
    title = "Binarizers: forward pass and surrogate gradient"
    figure.text(left, 0.74, title, fontsize=15, weight="bold", color=INK)
    figure.text(
        left,
        0.5,
        "Measured on the modules at their start, in training, over x; the rest of the "
        "sample or filter is normal with variance 1. Left scale: forward, right scale: "
        "gradient for the same x. Dots: the output depends on the other values more "
        "than on x.",
        fontsize=9,
        color=MUTED,
    )
    lines = [(INK, "forward")]
    for progress in PROGRESS[:-1]:
        if progress in forward_times:
            lines.append((FORWARD[progress], f"forward at progress {progress:g}"))
    lines.append((GRADIENT[None], "gradient"))
    for progress in PROGRESS:
        lines.append((GRADIENT[progress], f"gradient at progress {progress:g}"))
    figure.legend(
        handles=[Line2D([], [], color=c, label=label) for c, label in lines],
        loc="upper left",
        bbox_to_anchor=(left, 0.34),
        borderaxespad=0,
        borderpad=0,
        ncols=len(lines),
        frameon=False,
        fontsize=9,
    )


def draw_methods(path: str | Path, names: Sequence[str] | None = None) -> None:
    """Write one picture with two panels a method: activations and weights.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        names: Methods in the order wanted; all, sorted, when None.

    Raises:
        ValueError: Unknown name, or a format that matplotlib does not write.
    """
    methods = [get_method(name) for name in names or available_methods()]
    rows = -(-len(methods) // PER_ROW)
    heights = [1.1, *[2.05] * rows]
    figure = Figure(figsize=(17, sum(heights)), dpi=130, facecolor="white")
    parts = figure.subfigures(rows + 1, 1, squeeze=False, height_ratios=heights)[:, 0]
    cells = [
        cell
        for part in parts[1:]
        for cell in part.subfigures(1, PER_ROW, squeeze=False)[0]
    ]
    drawn: list[Curve] = []
    for cell, method in zip(cells, methods, strict=False):
        drawn += _draw_method(cell, method)
    _draw_legend(parts[0], {curve.progress for curve in drawn})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
