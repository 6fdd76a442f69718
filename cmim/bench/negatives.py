"""Time and memory of the loss from a thousand to a million negatives.

``python -m cmim.bench.negatives SIZE`` measures one size and prints JSON: each
has a process of its own, since the peak of a process never falls. The peak is that of
the resident memory (tools that trace Python's allocations do not see torch's).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmim.analysis.colours import MUTED, ORANGE, TEAL
from cmim.bench.turns import time_turns
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


def measure_size(negatives: int, batch: int, rounds: int = 3) -> dict[str, Any]:
    """Milliseconds of forward and backward, and how far memory rises meanwhile.

    In pieces as ``ms`` and ``extra_mb``; all scores at once as ``whole_ms`` and
    ``whole_extra_mb``, None where the memory does not allow it.
    """
    for loss in (chunked_loss, plain_loss):
        loss(*make_vectors(8, batch)).backward()  # libraries are loaded now
    vectors = make_vectors(negatives, batch)
    row: dict[str, Any] = dict(
        negatives=negatives, queue_mb=round(vectors[2].nbytes / 1e6, 1)
    )
    row["ms"], row["extra_mb"] = _time_and_rise(chunked_loss, vectors, rounds)
    row["whole_ms"] = row["whole_extra_mb"] = None
    if _enough_memory(negatives, batch, torch.float32):
        row["whole_ms"], row["whole_extra_mb"] = _time_and_rise(
            plain_loss, vectors, rounds
        )
    return row


def _time_and_rise(
    loss: Callable[..., Tensor], vectors: tuple[Tensor, ...], rounds: int
) -> tuple[float, float]:
    before = _forget_peak()
    times = time_turns({"loss": lambda: loss(*vectors).backward()}, rounds, warm_up=0)
    rise = (_peak_bytes() - before) / 1e6
    return round(min(times["loss"]) * 1e3, 2), round(rise, 1)


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
    lines = [
        "                  in pieces          all scores at once   the queue",
        "negatives        ms  extra MB            ms  extra MB          MB",
    ]
    for r in figures["rows"]:
        whole = (
            "   not enough memory  "
            if r["whole_ms"] is None
            else f"{r['whole_ms']:14.2f} {r['whole_extra_mb']:9.1f}"
        )
        lines.append(
            f"{r['negatives']:9d} {r['ms']:9.2f} {r['extra_mb']:9.1f}{whole}"
            f" {r['queue_mb']:11.1f}"
        )
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
    figure = Figure(figsize=(9, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for axes, key, label, colour in (
        (left, "whole_ms", "all scores at once", MUTED),
        (left, "ms", "in pieces, as here", TEAL),
        (right, "queue_mb", "the queue itself", ORANGE),
        (right, "whole_extra_mb", "added by all scores at once", MUTED),
        (right, "extra_mb", "added in pieces, as here", TEAL),
    ):
        known = [row for row in rows if row[key] is not None]
        values = [max(row[key], 0.1) for row in known]
        where = [row["negatives"] for row in known]
        axes.plot(where, values, "o-", color=colour, label=label, markersize=4)
    left.set(ylabel="forward and backward, ms", title="Time", yscale="log")
    right.set(ylabel="MB, peak", title="Memory", yscale="log")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
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


def _forget_peak() -> int:
    """Let the peak start anew where the system can (Linux); the peak, in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    with contextlib.suppress(OSError, IndexError):
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.split("VmHWM:")[1].split()[0])
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _enough_memory(negatives: int, batch: int, dtype: torch.dtype) -> bool:
    """Whether six times the scores fit, which is what autograd makes of them."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return True
    free = 1024 * int(text.split("MemAvailable:")[1].split()[0])
    return 6 * dtype.itemsize * negatives * batch < free


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
    enough = _enough_memory(args.negatives, args.batch, dtype)
    found = compare_whole(args.negatives, args.batch, dtype) if enough else None
    print(json.dumps(found))


if __name__ == "__main__":
    main()
