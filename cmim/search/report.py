"""The front of a search, in words and drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from cmim.analysis.colours import GRID, INK, LINES, PALE
from cmim.search.latency_table import Circumstances
from cmim.search.search import Candidate, front_by


def format_candidates(candidates: Sequence[Candidate]) -> str:
    """A line for each network.

    Args:
        candidates: In the order of the lines.
    """
    width = max([len(c.design.name) for c in candidates] + [7])
    lines = [
        f"{'network':{width}s} {'ms':>8s} {'10^9 operations':>16s} "
        f"{'10^6 values':>12s} {'MB':>6s} {'measured':>9s} {'error':>8s}"
    ]
    for c in candidates:
        known = c.measured is not None
        lines.append(
            f"{c.design.name:{width}s} {c.milliseconds:8.2f} "
            f"{c.operations / 1e9:16.3f} {c.parameters / 1e6:12.3f} "
            f"{c.megabytes:6.2f} "
            + (f"{c.measured:9.2f} {c.error:+7.1f}%" if known else f"{'':9s} {'':8s}")
        )
    return "\n".join(line.rstrip() for line in lines)


def say_error(measured: Sequence[Candidate]) -> str:
    """How far the predictions are from what was measured, in a sentence.

    Args:
        measured: With their measured milliseconds.
    """
    errors = [c.error for c in measured if c.error is not None]
    return (
        f"of {len(errors)} networks that were measured the predictions are off by "
        f"{statistics.mean(map(abs, errors)):.1f} % in the mean, "
        f"{max(errors, key=abs):+.1f} % at most"
    )


def say_where(here: Circumstances, size: tuple[int, int]) -> str:
    """Where the milliseconds hold, in a sentence."""
    clock = "time that passed" if here.clock == "wall" else "time of the processor"
    return (
        f"{size[0]}x{size[1]} pixels, {here.threads} thread"
        f"{'s' * (here.threads != 1)}, {clock}, layers beside the binary ones in "
        f"{here.rest}, OpenVINO {here.engine.split('-')[0]}, {here.processor}"
    )


def draw_front(
    path: str | Path,
    candidates: Sequence[Candidate],
    title: str,
) -> None:
    """Two panels: operations and parameters over predicted milliseconds.

    Colours are output strides; a line joins each panel's front; crosses are what was
    measured.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        candidates: All networks.
        title: Of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    strides = sorted({c.design.output_stride for c in candidates})
    colours = {stride: LINES[k % len(LINES)] for k, stride in enumerate(strides)}
    for axes, (name, unit, scale) in zip(
        figure.subplots(1, 2),
        [("operations", "10^9 operations", 1e9), ("parameters", "10^6 values", 1e6)],
        strict=True,
    ):
        for stride in strides:
            chosen = [c for c in candidates if c.design.output_stride == stride]
            axes.plot(
                [c.milliseconds for c in chosen],
                [getattr(c, name) / scale for c in chosen],
                "o",
                color=colours[stride],
                markersize=4,
                label=f"output stride {stride}",
            )
        front = front_by(candidates, name)
        line = [(c.milliseconds, getattr(c, name) / scale) for c in front]
        axes.plot(*zip(*line, strict=True), color=PALE, zorder=0)
        known = [c for c in candidates if c.measured is not None]
        axes.plot(
            [c.measured for c in known],
            [getattr(c, name) / scale for c in known],
            "x",
            color=INK,
            label="measured" if known else None,
        )
        axes.set_xlabel("ms an image, predicted")
        axes.set_ylabel(unit)
        axes.grid(color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=9, color=INK)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
