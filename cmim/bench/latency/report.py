"""Latencies as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmim.analysis.colours import INK, ORANGE, PALE, TEAL
from cmim.bench.latency.figures import LatencyFigures, VariantFigures
from cmim.bench.latency.passes import say_passes
from cmim.bench.latency.profile import say_bound
from cmim.bench.latency.tradeoff import accuracy_of, say_records, say_rivals

NODES = 15


def format_latency(figures: LatencyFigures, nodes: int = 0) -> str:
    """A table of all variants, the speed-ups, and what bounds the 1-bit network.

    Args:
        figures: From :func:`cmim.bench.latency.measure.bench_latency`.
        nodes: Number of nodes of the profile to list.
    """
    counts = list(figures["threads"])
    head = "".join(f"{f'{c} thread' + 's' * (c != '1'):>12s}" for c in counts)
    shape = "x".join(str(n) for n in figures["input"])
    width = max(len(row["label"]) for row in figures["variants"].values()) + 2
    lines = [
        f"input {shape}, medians of {figures['rounds']} rounds in ms"
        f"{' of the processor' * (figures['clock'] == 'cpu')}; 8-bit ranges "
        f"from {figures['calibration']}",
        f"{'':{width}s}{head}{'file MB':>10s}{'peak MB':>10s}  accuracy (change)",
    ]
    variants = figures["variants"]
    lines += [_row(name, row, figures, width) for name, row in variants.items()]
    lines += say_records(figures)
    for count in counts:
        lines.append(_speedups(count, figures["threads"][count], variants))
        lines += say_rivals(count, figures)
    profile = figures["profile"]
    lines += [say_bound(profile), figures["kernels"]]
    lines += say_passes(figures["passes"], bool(nodes))
    if nodes:
        lines.append(f"{'ms':>8s}  {'kind':22s} {'kernel':26s} node")
        lines += [
            f"{n['ms']:8.2f}  {n['kind']:22s} {n['kernel']:26s} {n['name']}"
            for n in profile["nodes"][:nodes]
        ]
    return "\n".join(lines)


def _row(name: str, row: VariantFigures, figures: LatencyFigures, width: int) -> str:
    if row["note"] is not None:
        return f"{row['label']:{width}s}{row['note']}"
    times = "".join(f"{t['ms'][name]:12.1f}" for t in figures["threads"].values())
    peak = row.get("peak_mb")
    accuracy = "-"
    if found := accuracy_of(row, figures):
        metric, value, measured = found
        how = f"{row['change']:+.3g}" if measured else "recorded"
        accuracy = f"{metric} {value:.4g} ({how})"
    return (
        f"{row['label']:{width}s}{times}{row['megabytes']:10.2f}"
        f"{f'{peak:.0f}' if peak else '-':>10s}  {accuracy}"
    )


def _speedups(
    count: str, row: dict[str, Any], variants: dict[str, VariantFigures]
) -> str:
    known = [
        f"{row[f'speedup_vs_{key}']:.1f} x of {label}"
        for key, label in (
            ("torch_fp32", "torch float32"),
            ("openvino_fp32", "OpenVINO float32"),
            ("openvino_int8", "OpenVINO 8-bit"),
        )
        if f"speedup_vs_{key}" in row
    ]
    return (
        f"{count} thread{'s' * (count != '1')}: the speed of "
        f"'{variants[row['fastest']]['label']}' is "
        f"{', '.join(known) or 'compared with nothing'}; its file is "
        f"{row['size_ratio']:.1f} x smaller than float32"
    )


def draw_latency(path: str | Path, figures: LatencyFigures, title: str) -> None:
    """A panel for each number of threads, a bar for each variant.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        figures: From :func:`cmim.bench.latency.measure.bench_latency`.
        title: Name of the network.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {k: v for k, v in figures["variants"].items() if v["note"] is None}
    counts = list(figures["threads"])
    figure = Figure(
        figsize=(4 + 3.2 * len(counts), 1.2 + 0.38 * len(rows)),
        dpi=130,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(counts), squeeze=False, sharey=True)[0]
    for axes, count in zip(panels, counts, strict=True):
        times = figures["threads"][count]["ms"]
        values = [times[name] for name in rows]
        colours = [
            TEAL if name.startswith("one_bit")
            else ORANGE if row["network"] in figures["rivals"]
            else PALE
            for name, row in rows.items()
        ]  # fmt: skip
        bars = axes.barh([row["label"] for row in rows.values()], values, color=colours)
        axes.bar_label(
            bars, [f"{v:.0f}" for v in values], padding=3, fontsize=8, color=INK
        )
        axes.invert_yaxis() if axes is panels[0] else None
        axes.set_xlabel(f"ms an image, {count} thread" + "s" * (count != "1"))
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11, color=INK)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
