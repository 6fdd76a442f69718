"""Estimates of mutual information against known values, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cmim.analysis.colours import GRID, INK, MUTED, ORANGE, TEAL, VIOLET

# Colour, marker and its size: equal estimates lie inside of each other.
STYLES = {
    "ksg": (ORANGE, "o", 9.0),
    "mixed_ksg": (VIOLET, "s", 3.5),
    "lnc": (TEAL, "D", 5.5),
}
# Errors in nats up to it are drawn to scale, those beyond by their magnitude.
TO_SCALE = 0.1
TICKS = (-10, -1, -0.1, 0, 0.1, 1)


def draw_checks(path: str | Path, rows: Sequence[dict[str, Any]], note: str) -> None:
    """A column for each number of dimensions and one for discrete and mixed variables.

    Above estimate against truth, below the error, logarithmic beyond +-0.1 nats; bars
    are the spread on both sides.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        rows: From :func:`cmim.analysis.gaussian_check.check_estimators`.
        note: Subtitle: samples and repetitions.

    Raises:
        ValueError: No rows, or a format that matplotlib does not write.
    """
    if not rows:
        raise ValueError("there is nothing to draw; give rows of check_estimators()")
    groups = _grouped(rows)
    figure = Figure(figsize=(1 + 3.6 * len(groups), 7), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        2, len(groups), squeeze=False, sharex="col", height_ratios=(3, 2)
    )
    for (title, part), (above, below) in zip(groups.items(), axes.T, strict=True):
        above.set_title(title, fontsize=10, color=INK)
        top = max(row["truth"] for row in part)
        above.plot([0, top], [0, top], color=MUTED, linewidth=1, label="truth")
        below.axhline(0, color=MUTED, linewidth=1)
        _draw_values(above, part, "mean")
        _draw_values(below, part, "bias")
        if below is not axes[1, 0]:
            below.sharey(axes[1, 0])
        below.set_yscale("symlog", linthresh=TO_SCALE)
        below.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        below.set_xlabel("true information, nats", fontsize=9)
    axes[0, 0].set_ylabel("estimate, nats", fontsize=9)
    axes[1, 0].set_ylabel("estimate - truth, nats", fontsize=9)
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.suptitle(f"Estimators of mutual information: {note}", fontsize=12, color=INK)
    figure.tight_layout()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _grouped(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        dims = "1 dimension" if row["dims"] == 1 else f"{row['dims']} dimensions each"
        mixed = row["rho"] is None
        title = "discrete and mixed" if mixed else f"Gaussians, {dims}"
        groups.setdefault(title, []).append(row)
    return groups


def _draw_values(axes: Axes, rows: Sequence[dict[str, Any]], what: str) -> None:
    for name, (color, marker, size) in STYLES.items():
        own = [row for row in rows if row["estimator"] == name]
        if not own:
            continue
        axes.errorbar(
            [row["truth"] for row in own],
            [row[what] for row in own],
            yerr=[row["spread"] for row in own],
            color=color,
            marker=marker,
            markersize=size,
            markerfacecolor="none",
            linestyle="none",
            elinewidth=1,
            capsize=2,
            label=name,
        )
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=MUTED)
    for side in axes.spines.values():
        side.set_color(GRID)
