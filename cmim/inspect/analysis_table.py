"""The report of an analysis as text: tables with units, one line a checkpoint."""

from __future__ import annotations

from typing import Any, NamedTuple


class Column(NamedTuple):
    """A figure of a layer.

    Attributes:
        key: Its name in the report.
        title: What heads its columns, with the unit.
        digits: Digits after the point.
        factor: From the report's unit to that of the title.
    """

    key: str
    title: str
    digits: int
    factor: float = 1.0


TABLES = (
    (
        "Codes",
        (
            Column("entropy", "entropy, bit/channel", 3),
            Column("dead", "dead channels, %", 1, 100),
            Column("pair_information", "MI of two channels, bit", 4),
        ),
    ),
    (
        "Lower bounds on MI of codes with, and linear CKA of codes with",
        (
            Column("bound_latent", "own latent, bit", 2),
            Column("bound_twin", "twin's feature, bit", 2),
            Column("cka_latent", "own latent, CKA", 3),
            Column("cka_twin", "twin's feature, CKA", 3),
        ),
    ),
    (
        "Nearest-neighbour estimates of MI, leading components only",
        (
            Column("label_codes", "codes; label, bit", 2),
            Column("label_latent", "latent; label, bit", 2),
            Column("shared", "codes; {reference}, bit", 2),
        ),
    ),
    (
        "Nearest-neighbour estimates of MI of own latent and twin's feature",
        (
            Column("latent_twin_ksg", "KSG, bit", 2),
            Column("latent_twin_mixed", "mixed, bit", 2),
            Column("latent_twin_lnc", "LNC, bit", 2),
        ),
    ),
)
WIDTH = 7


def as_tables(report: dict[str, Any]) -> str:
    """All figures: a row for each layer, a column for each checkpoint and figure.

    Args:
        report: From :func:`cmim.inspect.analyze.analyze`.
    """
    runs = report["checkpoints"]
    lines = [f"{i}: {label}" for i, label in enumerate(runs, 1)]
    for heading, columns in TABLES:
        shown = [c for c in columns if _is_known(report, c)]
        if shown:
            lines += ["", heading, *_table(report, shown)]
    lines += _gradient_lines(report)
    return "\n".join(lines)


def _is_known(report: dict[str, Any], column: Column) -> bool:
    runs = report["checkpoints"].values()
    return any(run["mean"][column.key] is not None for run in runs)


def _table(report: dict[str, Any], columns: list[Column]) -> list[str]:
    runs = report["checkpoints"]
    reference = "latent" if report["teacher"] is None else "twin"
    titles = [c.title.format(reference=reference) for c in columns]
    blocks = [max(len(title), len(runs) * WIDTH) for title in titles]
    shorter = [name.removeprefix("backbone.") for name in report["layers"]]
    first = max(len(name) for name in (*shorter, "mean"))
    numbers = "".join(f"{i:>{WIDTH}}" for i in range(1, len(runs) + 1))

    def row(name: str, cells: list[str]) -> str:
        padded = (f"{c:>{width}}" for c, width in zip(cells, blocks, strict=True))
        return "  ".join([f"{name:{first}}", *padded]).rstrip()

    lines = [row("layer", titles)]
    if len(runs) > 1:
        lines.append(row("", [numbers] * len(columns)))
    for name, short in zip(report["layers"], shorter, strict=True):
        layers = [run["layers"][name] for run in runs.values()]
        lines.append(row(short, [_cells(c, layers) for c in columns]))
    means = [run["mean"] for run in runs.values()]
    return [*lines, row("mean", [_cells(c, means) for c in columns])]


def _cells(column: Column, layers: list[dict[str, Any]]) -> str:
    values = [layer[column.key] for layer in layers]
    return "".join(
        f"{'-':>{WIDTH}}"
        if value is None
        else f"{value * column.factor:>{WIDTH}.{column.digits}f}"
        for value in values
    )


def _gradient_lines(report: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for label, run in report["checkpoints"].items():
        gradients = run.get("gradients")
        if gradients is None:
            continue
        lines += ["", f"Gradients of added losses against the task's: {label}"]
        if "skipped" in gradients:
            lines.append(f"skipped: it {gradients['skipped']}")
            continue
        lines[-1] += f" (partner {gradients['partner']}, loss {gradients['loss']})"
        lines.append(
            f"{'weights':12s} {'cosine':>16s} {'task, next batch':>17s} "
            f"{'length, % of task':>18s}"
        )
        for name, values in gradients["stages"].items():
            if values["cosine"] is None:
                lines.append(f"{name:12s} {'not reached':>16s}")
                continue
            cosine = f"{values['cosine']:+.3f} +- {values['cosine_spread']:.3f}"
            again = values["task_cosine"]
            repeated = "-" if again is None else f"{again:+.3f}"
            lines.append(
                f"{name:12s} {cosine:>16s} {repeated:>17s} "
                f"{100 * values['ratio']:>18.1f}"
            )
    return lines


def one_sentences(report: dict[str, Any]) -> str:
    """Means over the layers of each checkpoint, one line each, with units."""
    ceiling = max(
        layer["ceiling"]
        for run in report["checkpoints"].values()
        for layer in run["layers"].values()
    )
    lines = []
    for label, run in report["checkpoints"].items():
        mean = run["mean"]
        words = [
            f"{label}: entropy {mean['entropy']:.3f} bit/channel",
            f"dead {100 * mean['dead']:.1f} %",
            f"MI bound with own latent {mean['bound_latent']:.2f}",
        ]
        if mean["bound_twin"] is not None:
            words.append(f"with twin {mean['bound_twin']:.2f}")
        line = "  ".join(words) + f" of at most {ceiling:.2f} bit"
        if mean["label_codes"] is not None:
            line += f"  about labels {mean['label_codes']:.2f} bit"
        lines.append(line)
    return "\n".join(lines)
