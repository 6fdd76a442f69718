"""Pictures of an analysis: figures by layer, features in a plane, flips over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cmim.analysis.colours import GRID, INK, LINES, MUTED

MARKERS = "osD^vPX"
PANELS: tuple[tuple[str, str, str], ...] = (
    ("entropy", "Entropy of a channel", "bit"),
    ("pair_information", "MI of two channels", "bit"),
    ("dead", "Dead channels", "%"),
    ("bound_latent", "MI bound: codes and own latent", "bit"),
    ("bound_twin", "MI bound: codes and twin's feature", "bit"),
    ("label_codes", "Estimate: codes tell of the label", "bit"),
    ("cka_latent", "CKA: codes and own latent", ""),
    ("cka_twin", "CKA: codes and twin's feature", ""),
    ("shared", "Estimate: codes and {reference}", "bit"),
)
# Of a t-SNE picture; the classes with most points have colours of their own.
SHOWN_CLASSES = 10
PER_ROW = 3


def draw_layers(report: dict[str, Any], path: str | Path) -> None:
    """One panel a figure: over the layers, a line for each checkpoint.

    Args:
        report: From :func:`cmim.inspect.analyze.analyze`.
        path: PNG, PDF or SVG; its folder is made.
    """
    runs = report["checkpoints"]
    panels = [p for p in PANELS if any(_has(run, p[0]) for run in runs.values())]
    rows = -(-len(panels) // PER_ROW)
    height = 1.1 + 2.6 * rows
    figure = _figure(
        14, height, 0.05, "What the binary activations carry, layer by layer"
    )
    count = f"{report['images']} test images, {len(report['layers'])} layers"
    figure.text(0.05, 1 - 0.62 / height, count, fontsize=9, color=MUTED)
    grid = figure.subplots(rows, PER_ROW, squeeze=False, sharex=True)
    figure.subplots_adjust(
        left=0.05, right=0.985, top=1 - 1.2 / height, bottom=0.4 / height, hspace=0.32
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, report, *panel)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper right",
        bbox_to_anchor=(0.985, 1 - 0.1 / height),
        ncols=min(len(labels), 3),
        frameon=False,
        fontsize=9,
    )
    _save(figure, path)


def _has(run: dict[str, Any], key: str) -> bool:
    return run["mean"][key] is not None


def _draw_panel(
    axes: Axes, report: dict[str, Any], key: str, title: str, unit: str
) -> None:
    names = report["layers"]
    factor = 100 if unit == "%" else 1
    for i, (label, run) in enumerate(report["checkpoints"].items()):
        values = [run["layers"][name][key] for name in names]
        axes.plot(
            range(len(names)),
            [np.nan if value is None else factor * value for value in values],
            color=LINES[i % len(LINES)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=3.5,
            linewidth=1.4,
            label=label,
        )
    reference = "own latent" if report["teacher"] is None else "twin's feature"
    title = title.format(reference=reference)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_ylabel(unit, fontsize=8.5, color=MUTED)
    _style(axes)
    if key.startswith("bound"):
        _mark_ceiling(axes, report)
    elif unit == "%":
        axes.set_ylim(0, max(5, axes.get_ylim()[1]))
    elif key not in ("entropy", "cka_latent", "cka_twin"):
        axes.set_ylim(min(0, axes.get_ylim()[0]))
    _mark_stages(axes, names)


def _mark_ceiling(axes: Axes, report: dict[str, Any]) -> None:
    """A line above which no bound can come, however much is shared."""
    ceiling = max(
        layer["ceiling"]
        for run in report["checkpoints"].values()
        for layer in run["layers"].values()
    )
    axes.axhline(ceiling, color=MUTED, linewidth=1, linestyle="--")
    low = min(axes.get_ylim()[0], ceiling - 1)
    axes.set_ylim(low, ceiling + 0.16 * (ceiling - low))
    axes.annotate(
        f"ceiling: log2 of {round(2**ceiling)} candidates",
        (0, ceiling),
        (0, 2),
        textcoords="offset points",
        fontsize=7.5,
        color=MUTED,
    )


def _mark_stages(axes: Axes, names: Sequence[str]) -> None:
    """Stage names under the layers, a thin line where the next one begins."""
    stages = [name.removeprefix("backbone.").split(".")[0] for name in names]
    begins = [i for i, s in enumerate(stages) if i == 0 or s != stages[i - 1]]
    for begin, end in zip(begins, [*begins[1:], len(stages)], strict=True):
        if begin:
            axes.axvline(begin - 0.5, color=GRID, linewidth=0.9, zorder=0)
        # Below the axis: many stages of one layer each would overlap.
        if len(begins) <= 8:
            axes.text(
                (begin + end - 1) / 2,
                -0.06,
                stages[begin],
                transform=axes.get_xaxis_transform(),
                fontsize=8,
                color=MUTED,
                ha="center",
                va="top",
            )
    axes.set_xticks([])


def draw_points(
    layouts: Mapping[str, Mapping[str, Tensor]],
    report: dict[str, Any],
    path: str | Path,
) -> None:
    """The encoder's last features of sampled pixels (or images) by t-SNE.

    Args:
        layouts: Label to ``points`` ``(M, 2)`` and ``labels`` ``(M,)``.
        report: Says what the labels are.
        path: PNG, PDF or SVG; its folder is made.
    """
    layouts = {label: layout for label, layout in layouts.items() if layout}
    width = 4.3 * len(layouts) + 1.9
    figure = _figure(width, 5.1, 0.45 / width, "Last features of the encoder, by t-SNE")
    figure.text(
        0.45 / width,
        0.885,
        "Near points have alike features; axes, and distances of far groups, mean "
        "nothing.",
        fontsize=8.5,
        color=MUTED,
    )
    row = figure.subplots(1, len(layouts), squeeze=False)[0]
    figure.subplots_adjust(
        left=0.45 / width, right=1 - 1.9 / width, top=0.79, bottom=0.04, wspace=0.06
    )
    for axes, label in zip(row, layouts, strict=True):
        axes.set_title(label, fontsize=9.5, color=INK)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(GRID)
    if report["labels_are"] == "classes":
        _draw_classes(row, list(layouts.values()), report["classes"])
    else:
        _draw_depths(figure, row, list(layouts.values()), width)
    _save(figure, path)


def _draw_classes(
    row: Sequence[Axes],
    layouts: Sequence[Mapping[str, Tensor]],
    classes: Sequence[str],
) -> None:
    """The most frequent classes in colours of their own, most frequent first."""
    counts = torch.bincount(torch.cat([layout["labels"] for layout in layouts]).long())
    order = counts.argsort(descending=True, stable=True)[:SHOWN_CLASSES].tolist()
    palette = matplotlib.colormaps["tab10"]
    colors = {n: palette(i) for i, n in enumerate(order) if counts[n]}
    for axes, layout in zip(row, layouts, strict=True):
        shades = [colors.get(int(n), GRID) for n in layout["labels"].tolist()]
        x, y = layout["points"].T.tolist()
        axes.scatter(x, y, c=shades, s=7, linewidths=0)
    last = row[-1]
    for number, color in colors.items():
        known = number < len(classes)
        name = classes[number] if known else f"class {number}"
        last.scatter([], [], color=color, s=16, label=name)
    if len(counts.nonzero()) > len(colors):
        last.scatter([], [], color=GRID, s=16, label="others")
    last.legend(
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handletextpad=0.2,
    )


def _draw_depths(
    figure: Figure,
    row: Sequence[Axes],
    layouts: Sequence[Mapping[str, Tensor]],
    width: float,
) -> None:
    """Near to far from dark to light, one scale for all panels."""
    depths = [layout["labels"].log() for layout in layouts]
    low, high = (value.item() for value in torch.cat(depths).aminmax())
    for axes, layout, shades in zip(row, layouts, depths, strict=True):
        x, y = layout["points"].T.tolist()
        drawn = axes.scatter(
            x, y, c=shades.tolist(), s=7, linewidths=0, vmin=low, vmax=high
        )
    scale = figure.add_axes((1 - 1.45 / width, 0.2, 0.16 / width, 0.45))
    bar = figure.colorbar(drawn, cax=scale)
    marks = [m for m in (0.7, 1, 1.5, 2, 3, 4, 6, 8, 10) if low <= np.log(m) <= high]
    bar.set_ticks(list(np.log(marks)), labels=[f"{m:g} m" for m in marks])
    bar.outline.set_visible(False)
    scale.tick_params(labelsize=8.5, labelcolor=INK, length=0)


def _figure(width: float, height: float, left: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    figure.text(left, 1 - 0.36 / height, title, fontsize=13, weight="bold", color=INK)
    return figure


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, labelcolor=INK, length=0)


def _save(figure: Figure, path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
