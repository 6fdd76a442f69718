"""How many binary weights change their sign as training proceeds, by stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from cmim.analysis.method_picture import GRID, INK, MUTED


def stage_flips(flips: Mapping[str, Any]) -> dict[str, list[float]]:
    """Changed signs of each stage in % per step, mean over its layers.

    Divided by the steps of a record, so that records of different intervals compare.

    Args:
        flips: Contents of ``flips.json`` (:class:`cmim.hooks.RecordFlips`).

    Examples:
        >>> record = dict(step=20, since=10, flips=[0.1, 0.3])
        >>> stage_flips(dict(layers=["backbone.a.0", "backbone.a.1"], records=[record]))
        {'a': [2.0]}
    """
    members: dict[str, list[int]] = {}
    for i, name in enumerate(flips["layers"]):
        members.setdefault(name.removeprefix("backbone.").split(".")[0], []).append(i)
    return {
        stage: [
            100
            * sum(record["flips"][i] for i in indices)
            / (len(indices) * (record["step"] - record["since"]))
            for record in flips["records"]
        ]
        for stage, indices in members.items()
    }


def draw_flips(runs: Mapping[str, Mapping[str, Any]], path: str | Path) -> None:
    """One panel a run, one line a stage.

    Args:
        runs: Label to the contents of its ``flips.json``.
        path: PNG, PDF or SVG; its folder is made.
    """
    width = 4.2 * len(runs) + 1.6
    figure = Figure(figsize=(width, 4.3), dpi=130, facecolor="white")
    figure.text(
        0.75 / width,
        0.92,
        "Binary weights that change their sign",
        fontsize=13,
        weight="bold",
        color=INK,
    )
    row = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 1.1 / width, top=0.8, bottom=0.13, wspace=0.06
    )
    shades = matplotlib.colormaps["viridis_r"]
    for axes, (label, flips) in zip(row, runs.items(), strict=True):
        stages = stage_flips(flips)
        steps = [record["step"] for record in flips["records"]]
        for i, (stage, values) in enumerate(stages.items()):
            color = shades(0.15 + 0.85 * i / max(len(stages) - 1, 1))
            # A stage that rests is not on a logarithmic scale.
            shown = [value or float("nan") for value in values]
            axes.plot(steps, shown, color=color, linewidth=1.5, label=stage)
        axes.set_title(label, fontsize=9.5, color=INK)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("step", fontsize=8.5, color=MUTED)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.tick_params(labelsize=8, labelcolor=INK, length=0, which="both")
    row[0].set_ylabel("% of a stage's weights a step", fontsize=8.5, color=MUTED)
    row[-1].legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8.5
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
