"""Time of the contrastive loss, against the released code and as part of a step."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device

from cmim.bench.benchmark import Benchmark, add_out_option, add_threads_option
from cmim.bench.negatives import (
    SIZES,
    bench_negatives,
    draw_negatives,
    format_negatives,
)
from cmim.bench.released_cmim_loss import ReleasedCMIMLoss, draw_as_released
from cmim.bench.step import bench_step, synthetic_batch
from cmim.bench.step_networks import build_variants
from cmim.bench.turns import time_turns
from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.memory import ProjectionQueue
from cmim.engine import cli
from cmim.engine.config import load_config

CLASSES = 100
PROJECTION = 128
# Our losses: the released one with the rows shared by all anchors, and NCE and the
# default with a queue of as many negatives.
OURS = ("cmim_released", "nce", "info_nce")


class Turns:
    """One batch of features, and the losses that take turns on it.

    Args:
        batch: Images.
        negatives: Negatives of an anchor.
        rows: Images in the bank.
        features: Length of the features.
    """

    def __init__(self, batch: int, negatives: int, rows: int, features: int) -> None:
        torch.manual_seed(0)
        self.rng = np.random.RandomState(0)
        self.batch, self.negatives, self.rows = batch, negatives, rows
        self.device = torch.device(get_device())
        self.classes = np.arange(rows) % CLASSES
        everyone = np.arange(rows)
        self.others = [everyone[self.classes != c] for c in range(CLASSES)]
        shape = (batch, features)
        # The released code freezes neither the twin nor the projections.
        self.partner = torch.randn(shape, device=self.device, requires_grad=True)
        self.binary = torch.randn(shape, device=self.device, requires_grad=True)
        self.released = ReleasedCMIMLoss(features, PROJECTION, rows, negatives)
        self.released.to(self.device)
        self.ours = {name: self._ours(name, features) for name in OURS}
        self.next_batch()

    def _ours(self, name: str, features: int) -> torch.nn.Module:
        bank = name == "cmim_released"
        options = ContrastOptions(
            projection=PROJECTION, level="image", queue=0 if bank else self.negatives
        )
        entry: dict[str, Any] = dict(name=name)
        if bank:
            entry.update(rows=self.rows, negatives=self.negatives)
        loss = get_loss(entry)(features, features, options).to(self.device)
        queue = loss.get_submodule("queue") if not bank else None
        if isinstance(queue, ProjectionQueue):
            queue.rows.copy_(F.normalize(queue.rows.normal_(), dim=1))
            queue.filled.fill_(True)
        return loss

    def next_batch(self) -> None:
        """Draw images, and the negatives of the released code."""
        self.next_images()
        self.draw_negatives()

    def next_images(self) -> None:
        """Draw images."""
        drawn = self.rng.choice(self.rows, self.batch, replace=False)
        self.indices, classes = (
            torch.from_numpy(values).to(self.device)
            for values in (drawn, self.classes[drawn])
        )
        self.labels = BatchLabels(indices=self.indices, classes=classes)

    def draw_negatives(self) -> None:
        """Draw negatives as the released code does."""
        indices = self.indices.cpu().numpy()
        sample = draw_as_released(
            self.rng, self.others, self.classes[indices], indices, self.negatives
        )
        self.sample = sample.to(self.device)

    def run(self, name: str) -> None:
        """One forward and backward pass of a loss."""
        self.binary.grad = self.partner.grad = None
        if name == "released":
            loss = self.released(self.partner, self.binary, self.indices, self.sample)
        else:
            maps = (self.binary[:, :, None, None], self.partner[:, :, None, None])
            loss = self.ours[name](*maps, self.labels)
        loss.backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def bench_loss(
    batch: int = 100,
    negatives: int = 4096,
    rows: int = 50000,
    features: int = 512,
    rounds: int = 15,
) -> dict[str, Any]:
    """Time the released loss and ours, in turns so that noise hits all alike.

    Forward and backward pass down to the features, on random ones. The draw of the
    released way's negatives is timed apart: its loader workers do it; ours draw within
    the loss.

    Args:
        batch: Images.
        negatives: Negatives of an anchor.
        rows: Images in the bank.
        features: Length of the features.
        rounds: Timed rounds after two of warm-up.

    Returns:
        For each loss its median ``ms`` and its ``speedup``, the median over rounds of
        the released loss's time divided by its own. ``speedup_vs_released`` repeats
        that of ``nce``, ``speedup_same_loss`` that of the very same loss.
    """
    turns = Turns(batch, negatives, rows, features)
    runs: dict[str, Callable[[], None]] = {"sampling": turns.draw_negatives}
    runs |= {name: partial(turns.run, name) for name in ("released", *OURS)}
    times = time_turns(runs, rounds, before_round=turns.next_images)
    sampling = times.pop("sampling")
    figures: dict[str, Any] = dict(
        batch=batch,
        negatives=negatives,
        rows=rows,
        features=features,
        rounds=rounds,
        threads=torch.get_num_threads(),
        device=turns.device.type,
        sampling_ms=round(statistics.median(sampling) * 1e3, 2),
    )
    for name, seconds_of in times.items():
        ratios = [a / b for a, b in zip(times["released"], seconds_of, strict=True)]
        figures[name] = dict(
            ms=round(statistics.median(seconds_of) * 1e3, 3),
            speedup=round(statistics.median(ratios), 1),
        )
    figures["speedup_vs_released"] = figures["nce"]["speedup"]
    figures["speedup_same_loss"] = figures["cmim_released"]["speedup"]
    return figures


def format_loss(figures: dict[str, Any]) -> str:
    """A line for the released way and one for each of ours."""
    lines = [
        f"as released {figures['released']['ms']:.1f} ms, and "
        f"{figures['sampling_ms']:.1f} ms to draw its negatives"
    ]
    for name in OURS:
        row = figures[name]
        lines.append(f"{name:14s} {row['ms']:8.2f} ms, {row['speedup']:.1f} x as fast")
    return "\n".join(lines)


def share_of_step(config: Config, steps: int = 15, amp: bool = False) -> dict[str, Any]:
    """The part of a training step of a config that the contrastive loss takes.

    Against the same step with ``partner='none'``. With the teacher as partner the loss
    and the teacher's pass are both in it; the pass alone stands beside it.

    Args:
        config: A config of this project.
        steps: Timed rounds.
        amp: bfloat16 autocast.

    Returns:
        ``share_of_step`` of ``latent``, ``teacher`` and ``teacher_forward``; as
        ``step`` the figures of :func:`cmim.bench.step.bench_step`.
    """
    figures = bench_step(config, steps=steps, amp=amp)
    shares = {}
    for name in ("latent", "teacher"):
        overhead = figures[name]["overhead"]
        shares[name] = round(overhead / (1 + overhead), 4)
    model = build_variants(config, ("teacher",))["teacher"]
    inputs = model.data_preprocessor(synthetic_batch(config), True)["inputs"]
    seconds = _median_seconds(lambda: model.teacher.features(inputs), steps, amp)
    teacher = round(seconds * 1e3 / figures["teacher"]["ms"], 4)
    return dict(share_of_step=dict(shares, teacher_forward=teacher), step=figures)


def _median_seconds(call: Callable[[], Any], rounds: int, amp: bool) -> float:
    device = get_device()

    def run() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=amp):
            call()
        if device == "cuda":
            torch.cuda.synchronize()

    return statistics.median(time_turns({"call": run}, rounds)["call"])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py loss``."""
    for name, default, text in (
        ("batch", 100, "images"),
        ("negatives", 4096, "of each image"),
        ("rows", 50000, "images in the bank"),
        ("features", 512, "length of features"),
        ("rounds", 15, "timed rounds"),
    ):
        parser.add_argument(f"--{name}", type=cli.positive, default=default, help=text)
    parser.add_argument(
        "--sizes",
        type=cli.positive,
        nargs="+",
        default=SIZES,
        metavar="N",
        help="numbers of negatives for time and memory (default: 2^10 to 2^20)",
    )
    parser.add_argument(
        "--config", help="also: the loss's share of this config's steps"
    )
    parser.add_argument("--amp", action="store_true", help="bfloat16 in these steps")
    add_threads_option(parser)
    add_out_option(parser, "loss")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py loss``."""
    config = load_config(args.config) if args.config else None
    figures = bench_loss(
        args.batch, args.negatives, args.rows, args.features, args.rounds
    )
    print(format_loss(figures))
    figures.update(bench_negatives(args.sizes, args.batch))
    print(format_negatives(figures))
    picture = Path(args.out) / "negatives.png"
    draw_negatives(picture, figures)
    print(f"picture: {picture}")
    if config is not None:
        figures.update(share_of_step(config, args.rounds, args.amp))
        for name, share in figures["share_of_step"].items():
            print(f"share of a training step, {name:16s} {100 * share:5.1f} %")
    return figures


BENCH = Benchmark(
    help="the contrastive loss against released code",
    about="times the contrastive loss against the way CMIM's released code writes it, "
    "and its time and memory by number of negatives",
    add_options=add_options,
    measure=measure,
)
