"""Milliseconds against accuracy: one variant beside the others, in words and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmim.analysis.colours import GRID, INK, LINES, TEAL
from cmim.bench.latency.figures import LatencyFigures, VariantFigures


def accuracy_of(
    row: VariantFigures, figures: LatencyFigures
) -> tuple[str, float, bool] | None:
    """Name and value of a variant's first metric, and whether it was measured.

    What was not measured is what the network's training run has recorded, in torch.

    Args:
        row: The variant.
        figures: Of the whole run.
    """
    if metrics := row.get("metrics"):
        name, value = next(iter(metrics.items()))
        return name, float(value), True
    if record := figures["recorded"].get(row["network"]):
        name, value = next(iter(record["metrics"].items()))
        return name, value, False
    return None


def say_rivals(count: str, figures: LatencyFigures) -> list[str]:
    """For each rival the fastest variant, against the fastest 1-bit one.

    Args:
        count: Number of threads, as ``figures["threads"]`` has it.
        figures: From :func:`cmim.bench.latency.measure.bench_latency`.
    """
    timed, variants = figures["threads"][count], figures["variants"]
    ours = variants[timed["fastest"]]
    lines = []
    for rival in figures["rivals"]:
        names = [n for n in timed["rivals"] if variants[n]["network"] == rival]
        if not names:
            continue
        best = min(names, key=lambda name: timed["rivals"][name])
        ratio, row = timed["rivals"][best], variants[best]
        word = "faster" if ratio < 1 else "slower"
        factor = 1 / ratio if ratio < 1 else ratio
        lines.append(
            f"{count} thread{'s' * (count != '1')}: '{row['label']}', the fastest of "
            f"this rival, is {factor:.2f} x {word} than '{ours['label']}' "
            f"({timed['ms'][best]:.1f} against "
            f"{timed['ms'][timed['fastest']]:.1f} ms); its file has "
            f"{row['megabytes']:.2f} MB against {ours['megabytes']:.2f}"
        )
    return lines


def say_records(figures: LatencyFigures) -> list[str]:
    """Where accuracies that were not measured come from."""
    return [
        f"recorded: of {name}, by its training run, in torch, at its own input size "
        f"({record['file']})"
        for name, record in figures["recorded"].items()
    ]


def draw_tradeoff(path: str | Path, figures: LatencyFigures, title: str) -> bool:
    """A panel for each number of threads: accuracy over milliseconds.

    Full markers were measured with that variant; hollow ones are what the network's
    training run has recorded, in torch.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        figures: From :func:`cmim.bench.latency.measure.bench_latency`.
        title: Name of the config.

    Returns:
        Whether there was anything to draw: two accuracies.
    """
    known = {
        name: (row, found)
        for name, row in figures["variants"].items()
        if row["note"] is None and (found := accuracy_of(row, figures)) is not None
    }
    if len({row["network"] for row, _ in known.values()}) < 2:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = list(figures["threads"])
    figure = Figure(figsize=(1 + 5.2 * len(counts), 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(counts), squeeze=False, sharey=True)[0]
    others = list(dict.fromkeys(row["network"] for row, _ in known.values()))
    colours = {name: LINES[k % len(LINES)] for k, name in enumerate(others)}
    colours["one_bit"] = TEAL
    for axes, count in zip(panels, counts, strict=True):
        times = figures["threads"][count]["ms"]
        # Neighbours have their names on different sides.
        for place, name in enumerate(sorted(known, key=times.__getitem__)):
            row, (_, value, measured) = known[name]
            colour = colours[row["network"]]
            point = axes.plot(times[name], value, "o", color=colour)[0]
            point.set_markerfacecolor(colour if measured else "none")
            _write_label(axes, (times[name], value), row["label"], place % 2 == 0)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.margins(x=0.25, y=0.25)
        axes.grid(color=GRID)
        axes.set_xlabel(f"ms an image, {count} thread" + "s" * (count != "1"))
        axes.spines[["top", "right"]].set_visible(False)
    metric = next(iter(known.values()))[1][0]
    better = "up" if figures["higher_is_better"] else "down"
    panels[0].set_ylabel(f"{metric} (better: {better})")
    figure.suptitle(f"{title}  (hollow: recorded in torch)", fontsize=10, color=INK)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True


def _write_label(
    axes: Any, point: tuple[float, float], label: str, above: bool
) -> None:
    axes.annotate(
        label,
        point,
        xytext=(5, 4 if above else -4),
        textcoords="offset points",
        verticalalignment="bottom" if above else "top",
        rotation=25 if above else -25,
        rotation_mode="anchor",
        fontsize=6,
        color=INK,
    )
