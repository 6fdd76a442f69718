"""Time and memory of the loss from a thousand to a million negatives.

``python -m cmim.engine.bench_negatives SIZE`` measures one size and prints JSON: each
has a process of its own, since the peak of a process never falls. The peak is that of
the resident memory (tools that trace Python's allocations do not see torch's).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmim.functional.bounds import info_nce_loss
from cmim.functional.score_sums import CHUNK, log_sum_exp_scores

SIZES = tuple(2**k for k in range(10, 21))
TEMPERATURE = 0.1


def make_vectors(
    negatives: int, batch: int, dtype: torch.dtype = torch.float32, channels: int = 128
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchors that want a gradient, positives and a queue: random unit vectors."""
    generator = torch.Generator().manual_seed(0)
    queue = torch.empty(negatives, channels, dtype=dtype)
    for part in queue.split(CHUNK):  # in place, or the copy would be the peak
        part.normal_(generator=generator)
        part.div_(part.norm(dim=1, keepdim=True))
    pair = torch.randn(2, batch, channels, generator=generator, dtype=dtype)
    anchors, positives = pair / pair.norm(dim=2, keepdim=True)
    return anchors.clone().requires_grad_(), positives, queue


def chunked_loss(anchors: Tensor, positives: Tensor, queue: Tensor) -> Tensor:
    """InfoNCE as the package computes it."""
    scaled = anchors / TEMPERATURE
    return info_nce_loss(
        (scaled * positives).sum(dim=1), log_sum_exp_scores(scaled, queue)
    ).mean()


def plain_loss(anchors: Tensor, positives: Tensor, queue: Tensor) -> Tensor:
    """InfoNCE with all scores at once and torch's own gradients."""
    scaled = anchors / TEMPERATURE
    return info_nce_loss(
        (scaled * positives).sum(dim=1), torch.logsumexp(scaled @ queue.T, dim=1)
    ).mean()


def measure_size(negatives: int, batch: int, rounds: int = 3) -> dict[str, float]:
    """Milliseconds of forward and backward, and what they add to the resident peak."""
    chunked_loss(*make_vectors(8, batch)).backward()  # libraries are loaded now
    anchors, positives, queue = make_vectors(negatives, batch)
    before, times = _peak_bytes(), []
    for _ in range(rounds):
        begin = time.perf_counter()
        chunked_loss(anchors, positives, queue).backward()
        times.append(time.perf_counter() - begin)
    return dict(
        negatives=negatives,
        ms=round(min(times) * 1e3, 2),
        extra_mb=round((_peak_bytes() - before) / 1e6, 1),
        queue_mb=round(queue.nbytes / 1e6, 1),
        scores_mb=round(batch * negatives * queue.element_size() / 1e6, 1),
    )


def compare_whole(negatives: int, batch: int, dtype: torch.dtype) -> dict[str, Any]:
    """Largest differences of value and gradient, all at once against in pieces."""
    anchors, positives, queue = make_vectors(negatives, batch, dtype)
    found = []
    for loss in (chunked_loss, plain_loss):
        value = loss(anchors, positives, queue)
        (gradient,) = torch.autograd.grad(value, anchors)
        found.append((value.item(), gradient))
    (ours, gradient), (plain, expected) = found
    return dict(
        negatives=negatives,
        value=plain,
        value_difference=abs(ours - plain),
        gradient_largest=expected.abs().max().item(),
        gradient_difference=(gradient - expected).abs().max().item(),
    )


def bench_negatives(sizes: Sequence[int] = SIZES, batch: int = 100) -> dict[str, Any]:
    """A row per size, and how equal pieces and the whole are at the largest.

    Args:
        sizes: Numbers of negatives.
        batch: Anchors.

    Returns:
        ``rows`` of :func:`measure_size`; ``equality`` by dtype: of float64 where the
        memory allows (six times the scores), else None.
    """
    rows = [_in_own_process(size, batch) for size in sizes]
    equality = {
        name: _in_own_process(max(sizes), batch, name)
        for name in ("float32", "float64")
    }
    return dict(rows=rows, equality=equality)


def format_negatives(figures: dict[str, Any]) -> str:
    """Rows and differences as plain text."""
    lines = ["negatives        ms  extra MB  queue MB  scores would be MB"]
    lines += [
        f"{r['negatives']:9d} {r['ms']:9.2f} {r['extra_mb']:9.1f} {r['queue_mb']:9.1f}"
        f" {r['scores_mb']:19.1f}"
        for r in figures["rows"]
    ]
    for name, row in figures["equality"].items():
        lines.append(
            f"in pieces against whole, {name}: "
            + (
                f"value {row['value']:.9g}, difference {row['value_difference']:.1e}; "
                f"gradient up to {row['gradient_largest']:.2g}, difference "
                f"{row['gradient_difference']:.1e}"
                if row
                else "not enough memory"
            )
        )
    return "\n".join(lines)


def draw_negatives(path: str | Path, figures: dict[str, Any]) -> None:
    """Time and memory over the number of negatives, both logarithmic.

    Args:
        path: PNG, PDF or SVG; its folder is made.
        figures: From :func:`bench_negatives`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = figures["rows"]
    sizes = [row["negatives"] for row in rows]
    figure = Figure(figsize=(9, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(sizes, [row["ms"] for row in rows], "o-", color="#0b5d54")
    left.set(ylabel="forward and backward, ms", title="Time", yscale="log")
    for key, label, colour in (
        ("scores_mb", "all scores at once (not done)", "#7b8794"),
        ("queue_mb", "the queue itself", "#e8731a"),
        ("extra_mb", "extra peak of the loss", "#0b5d54"),
    ):
        values = [max(row[key], 0.1) for row in rows]
        right.plot(sizes, values, "o-", color=colour, label=label, markersize=4)
    right.set(ylabel="MB", title="Memory", yscale="log")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("negatives of each anchor")
        axes.grid(alpha=0.25)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _in_own_process(size: int, batch: int, dtype: str | None = None) -> dict[str, Any]:
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", __name__, str(size), str(batch), threads]
    if dtype is not None:
        command.append(dtype)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, cwd=root, check=True, text=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.splitlines()[-1])


def _peak_bytes() -> int:
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _free_bytes() -> float:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return float("inf")
    return 1024 * int(text.split("MemAvailable:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one number of negatives.")
    parser.add_argument("negatives", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("dtype", nargs="?", choices=("float32", "float64"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.dtype is None:
        print(json.dumps(measure_size(args.negatives, args.batch)))
        return
    dtype = getattr(torch, args.dtype)
    needed = 6 * dtype.itemsize * args.negatives * args.batch
    enough = needed < _free_bytes()
    found = compare_whole(args.negatives, args.batch, dtype) if enough else None
    print(json.dumps(found))


if __name__ == "__main__":
    main()
