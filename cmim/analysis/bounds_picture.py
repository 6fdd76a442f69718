"""Trained bounds on mutual information against the truth, as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from cmim.analysis.bounds_experiment import Setup, table_of
from cmim.analysis.colours import GRID, INK, MUTED, ORANGE, RAW_TEAL, TEAL

RAW, SMOOTH, CEILING = RAW_TEAL, TEAL, ORANGE
COLUMNS = 3
TITLES = {
    "info_nce": "InfoNCE",
    "interpolated 0.5": "interpolated, alpha 0.5",
    "interpolated 0.01": "interpolated, alpha 0.01",
    "nwj": "NWJ",
    "tuba": "TUBA",
    "jensen_shannon": "Jensen-Shannon",
    "donsker_varadhan": "Donsker-Varadhan",
    "mine": "MINE",
    "nce": "NCE",
}


def draw_bounds(path: str | Path, curves: Mapping[str, Tensor], setup: Setup) -> None:
    """A panel for each bound: every estimate, their moving mean, truth and log K.

    The numbers in a panel are mean and standard deviation over the last half of the
    highest level.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        curves: Estimates of each bound in nats, from
            :func:`cmim.analysis.bounds_experiment.train_bound`.
        setup: What they were trained with.

    Raises:
        ValueError: No curves, or a format that matplotlib does not write.
    """
    if not curves:
        raise ValueError("there is nothing to draw; give curves of train_bound()")
    rows = math.ceil(len(curves) / COLUMNS)
    figure = Figure(figsize=(11, 1.1 + 2.6 * rows), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(curves) :]:
        axes.set_axis_off()
    for (name, curve), axes in zip(curves.items(), panels.flat, strict=False):
        axes.set_title(TITLES.get(name, name), fontsize=10, color=INK)
        _draw_curve(axes, curve.double().numpy(), setup)
        _write_last(axes, table_of({name: curve}, setup)[-1])
    for axes in panels[:, 0]:
        axes.set_ylabel("information, nats", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("training step", fontsize=9)
    title = (
        "Bounds on the mutual information of Gaussians, while their critics learn\n"
        f"{setup.dim} dimensions each, batches of {setup.batch}, {setup.critic} critic"
    )
    figure.suptitle(title, fontsize=12, color=INK)
    legend = panels[0, 0].get_legend_handles_labels()
    figure.legend(*legend, loc="lower center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def moving_mean(values: np.ndarray, span: int) -> np.ndarray:
    """Exponential moving mean whose weights add up to 1 from the first value on.

    Args:
        values: ``(T,)``.
        span: 1 or more; the weight of the past shrinks by ``1 - 2 / (span + 1)``.

    Examples:
        >>> moving_mean(np.array([3.0, 0.0]), 3).tolist()
        [3.0, 1.0]
    """
    keep = 1 - 2 / (span + 1)
    total = weight = 0.0
    means = np.empty(len(values))
    for i, value in enumerate(values):
        total, weight = keep * total + value, keep * weight + 1
        means[i] = total / weight
    return means


def _draw_curve(axes: Axes, curve: np.ndarray, setup: Setup) -> None:
    steps = np.arange(len(curve))
    span = max(1, setup.steps_per_level // 20)
    axes.plot(steps, curve, color=RAW, linewidth=0.4, label="each batch")
    axes.plot(
        steps,
        moving_mean(curve, span),
        color=SMOOTH,
        linewidth=1.4,
        label=f"mean of about {span} batches",
    )
    truth = np.repeat(setup.levels, setup.steps_per_level)
    axes.plot(steps, truth, color=INK, linewidth=1.2, label="truth")
    axes.axhline(
        math.log(setup.batch),
        color=CEILING,
        linewidth=1.2,
        linestyle=(0, (5, 3)),
        label=f"log {setup.batch}, where InfoNCE ends",
    )
    # Estimates far off would hide all others: they leave the panel.
    top = max(setup.levels)
    axes.set_ylim(-0.1 * top, 1.25 * top)
    axes.set_xlim(0, len(curve))
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=MUTED)
    for side in axes.spines.values():
        side.set_color(GRID)


def _write_last(axes: Axes, row: dict[str, Any]) -> None:
    axes.text(
        0.02,
        0.95,
        f"at {row['truth']:g} nats: {row['mean']:.1f} ± {row['spread']:.1f}",
        transform=axes.transAxes,
        verticalalignment="top",
        fontsize=9,
        color=SMOOTH,
    )
