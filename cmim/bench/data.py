"""Throughput of a config's data pipeline beside that of mmseg's own transforms."""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from cmim.bench.benchmark import (
    Benchmark,
    add_clock_option,
    add_threads_option,
)
from cmim.bench.step_parts import format_step_parts, time_step_parts
from cmim.bench.stock_pipeline import build_stock, stock_sample
from cmim.bench.turns import CLOCKS, time_turns
from cmim.data_parts import data_parts
from cmim.engine import cli
from cmim.engine.config import ConfigError, load_config, pipelines_of
from cmim.engine.config_place import named_part

Transform = Callable[[dict], Any]


class Line:
    """A pipeline at work: frames in, packed samples out, every transform timed.

    Args:
        transforms: Of the pipeline, in order.
        sample: Gives the ``k``-th frame as the first transform takes it.
        clock: Seconds.
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        sample: Callable[[int], dict],
        clock: Callable[[], float],
    ) -> None:
        self.transforms = transforms
        self.sample = sample
        self.clock = clock
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def run(self, frames: Sequence[int]) -> None:
        """Make a sample of each frame."""
        for frame in frames:
            found: Any = self.sample(frame)
            for transform in self.transforms:
                begin = self.clock()
                found = transform(found)
                seconds = self.clock() - begin
                self.seconds[type(transform).__name__].append(seconds)

    def figures(self, seconds: Sequence[float], images: int) -> dict[str, Any]:
        """Images a second, and milliseconds of each transform (medians)."""
        steps = {n: statistics.median(times) for n, times in self.seconds.items()}
        return dict(
            images_per_second=round(images / statistics.median(seconds), 1),
            ms={name: round(1e3 * median, 3) for name, median in steps.items()},
        )


def _own(dataset: Any, clock: Callable[[], float]) -> Line:
    epoch = 0

    def sample(frame: int) -> dict:
        nonlocal epoch
        epoch += 1
        # As in training: other random numbers each time a frame comes.
        return {**dataset.get_data_info(frame), "seed": [0, epoch, frame]}

    return Line(dataset.pipeline.transforms, sample, clock)


@named_part
def bench_data(
    config: Config, images: int = 32, rounds: int = 9, clock: str = "wall"
) -> dict[str, Any]:
    """Time pipelines in one process, on the same frames in the same rounds.

    Args:
        config: Gives the training data set.
        images: Frames of a round, evenly spaced over the data set.
        rounds: Timed rounds after two of warm-up.
        clock: ``wall``, or ``cpu`` for the time that the processor spent.

    Returns:
        ``project`` as the config has it, ``project_first`` without its cache of decoded
        frames (as in the first epoch), where it has one, and ``stock``: images a second
        and milliseconds of each transform. ``ratio`` and ``ratio_first``: the median
        over rounds of the stock pipeline's time by the project's in the same round.

    Raises:
        ConfigError: Several data sets, or a pipeline that has no counterpart.
    """
    pipelines_of(config, "train_dataloader")
    parts = data_parts(config, "train_dataloader")
    if len(parts) > 1:
        raise ConfigError(f"{len(parts)} data sets are joined; name a config of one")
    _, part = parts[0]
    stock = build_stock(part)
    dataset = DATASETS.build(part)
    now = CLOCKS[clock]
    lines = dict(project=_own(dataset, now))
    if part["pipeline"][0].get("cache"):
        first = {**part["pipeline"][0], "cache": False}
        fresh = {**part, "pipeline": [first, *part["pipeline"][1:]]}
        lines["project_first"] = _own(DATASETS.build(fresh), now)
    frame = dataset.get_data_info
    lines["stock"] = Line(stock, lambda k: stock_sample(frame(k)), now)
    count = min(images, len(dataset))
    frames = [k * len(dataset) // count for k in range(count)]
    turns = {name: lambda line=line: line.run(frames) for name, line in lines.items()}
    times = time_turns(turns, rounds, clock=now)
    figures: dict[str, Any] = dict(images=count, rounds=rounds, clock=clock)
    for name, line in lines.items():
        figures[name] = line.figures(times[name], count)
    for name, ratio in (("project", "ratio"), ("project_first", "ratio_first")):
        if name in times:
            pairs = zip(times["stock"], times[name], strict=True)
            figures[ratio] = round(statistics.median(s / own for s, own in pairs), 3)
    return figures


def format_data(figures: dict[str, Any]) -> str:
    """A line for each pipeline with the milliseconds of its transforms."""
    lines = []
    for name in ("project", "project_first", "stock"):
        if name in figures:
            found = figures[name]
            steps = ", ".join(f"{step} {ms:.2f}" for step, ms in found["ms"].items())
            lines.append(
                f"{name:14s} {found['images_per_second']:7.1f} images/s  ms: {steps}"
            )
    lines.append(f"{figures['ratio']:.2f} times as fast as the stock transforms")
    if "ratio_first" in figures:
        lines[-1] += f"; {figures['ratio_first']:.2f} times in the first epoch"
    return "\n".join(lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py data``."""
    cli.add_config_options(parser)
    parser.add_argument(
        "--images", type=cli.positive, default=32, help="frames of a round"
    )
    parser.add_argument(
        "--rounds", type=cli.positive, default=9, help="timed rounds of each pipeline"
    )
    parser.add_argument(
        "--steps",
        type=cli.not_negative,
        default=0,
        metavar="N",
        help="also train for N steps on the data and say where their time goes",
    )
    add_clock_option(parser)
    add_threads_option(parser)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py data``."""
    config = load_config(args.config, args.cfg_options)
    figures = bench_data(config, args.images, args.rounds, args.clock)
    print(format_data(figures))
    if args.steps:
        figures["step"] = time_step_parts(config, args.steps)
        print(format_step_parts(figures["step"]))
    return figures


BENCH = Benchmark(
    help="the data pipeline of a config",
    about="times the transforms of a config's training data beside the same work done "
    "by mmseg's own, and the parts of training steps",
    add_options=add_options,
    measure=measure,
)
