"""Time and memory of a stage of binary blocks, against published code."""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from mmengine.device import get_device
from torch import Tensor, nn

from cmim.bench.benchmark import Benchmark, add_training_options
from cmim.bench.published_blocks import METHODS, PublishedBlock
from cmim.bench.tensor_memory import kept_bytes, peak_bytes
from cmim.bench.turns import time_turns
from cmim.engine import cli
from cmim.layers import BasicBlock
from cmim.methods import get_method


class Stage(NamedTuple):
    """A stage of ResNet-18 on 224x224 images: two blocks, four binary convolutions.

    Attributes:
        in_channels: Channels of its input.
        channels: Channels of its blocks.
        size: Height and width of its input in pixels.
        stride: Stride of its first convolution.
    """

    in_channels: int
    channels: int
    size: int
    stride: int


STAGES = {
    1: Stage(64, 64, 56, 1),
    2: Stage(64, 128, 56, 2),
    3: Stage(128, 256, 28, 2),
    4: Stage(256, 512, 14, 2),
}


def stage_variants(method: str, stage: Stage) -> dict[str, nn.Module]:
    """The stage in both ways of writing, with the same weights.

    Args:
        method: ``'bireal'`` or ``'irnet'``.
        stage: Its shape.

    Raises:
        ValueError: A method whose published code is not re-stated.
    """
    if method not in METHODS:
        raise ValueError(
            f"method {method!r} has no published blocks here; "
            f"choose from {', '.join(METHODS)}"
        )
    torch.manual_seed(0)
    widths = [(stage.in_channels, stage.channels, stage.stride)]
    widths.append((stage.channels, stage.channels, 1))
    ours = nn.Sequential(*(BasicBlock(get_method(method), *w) for w in widths))
    published = nn.Sequential(*(PublishedBlock(method, *w) for w in widths))
    names = published.state_dict().keys()
    state = copy.deepcopy(ours.state_dict())
    published.load_state_dict({name: state[name] for name in names})
    return {"ours": ours, "published": published}


def make_steps(
    module: nn.Module, x: Tensor, amp: bool
) -> tuple[Callable[[], Tensor], Callable[[], None]]:
    """Closures for a forward pass, and for a forward and backward pass."""
    device = x.device.type

    def forward() -> Tensor:
        cast = torch.autocast(device, dtype=torch.bfloat16) if amp else nullcontext()
        with cast:
            return module(x)

    def step() -> None:
        out = forward()
        out.backward(torch.ones_like(out))
        x.grad = None
        module.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()

    return forward, step


def make_input(stage: Stage, batch: int, channels_last: bool) -> Tensor:
    """A random input of the stage that wants a gradient; the stage keeps its layout."""
    generator = torch.Generator().manual_seed(1)
    shape = (batch, stage.in_channels, stage.size, stage.size)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(shape, generator=generator).to(get_device())
    return x.contiguous(memory_format=layout).requires_grad_()


def bench_method(
    method: str,
    stage: Stage,
    batch: int,
    rounds: int,
    amp: bool = False,
    channels_last: bool = False,
) -> dict[str, Any]:
    """Compare one method's stage with the published way of writing it.

    Args:
        method: ``'bireal'`` or ``'irnet'``.
        stage: Shape of the stage.
        batch: Images.
        rounds: Timed rounds after two of warm-up.
        amp: bfloat16 autocast.
        channels_last: Layout of the input, the same for both variants.

    Returns:
        ``speedup`` (median over rounds of published / ours of the same round),
        ``memory_ratio`` (ours / published of :func:`kept_bytes` without parameters,
        buffers and the input), ``peak_ratio`` (the same of :func:`peak_bytes`), and
        per variant ``ms``, ``kept_mb`` and ``peak_mb`` (1 MB = 10^6 bytes).
    """
    device, x = get_device(), make_input(stage, batch, channels_last)
    steps, figures = {}, {}
    for name, module in stage_variants(method, stage).items():
        module.to(device).train()
        forward, steps[name] = make_steps(module, x, amp)
        kept = kept_bytes(forward, [x, *module.parameters(), *module.buffers()])
        figures[name] = dict(kept=kept, peak=peak_bytes(steps[name], device))
    seconds = time_turns(steps, rounds)
    ours, published = figures["ours"], figures["published"]
    pairs = zip(seconds["published"], seconds["ours"], strict=True)
    result: dict[str, Any] = dict(
        speedup=round(statistics.median(a / b for a, b in pairs), 3),
        memory_ratio=round(ours["kept"] / published["kept"], 3),
        peak_ratio=round(ours["peak"] / published["peak"], 3),
    )
    for name, figure in figures.items():
        result[name] = dict(
            ms=round(statistics.median(seconds[name]) * 1e3, 1),
            kept_mb=round(figure["kept"] / 1e6, 2),
            peak_mb=round(figure["peak"] / 1e6, 2),
        )
    return result


def format_method(method: str, row: dict[str, Any]) -> str:
    """One line from :func:`bench_method`."""
    ours, published = row["ours"], row["published"]
    return (
        f"{method:8s} {ours['ms']:.1f} ms against {published['ms']:.1f}, "
        f"{row['speedup']:.2f} x as fast; kept {ours['kept_mb']:.1f} MB against "
        f"{published['kept_mb']:.1f}, {row['memory_ratio']:.2f} x; "
        f"peak {row['peak_ratio']:.2f} x"
    )


def profile_layer(
    method: str, stage: Stage, batch: int, amp: bool, channels_last: bool = False
) -> str:
    """Tables of the operators that a step of each variant spends its time in."""
    device, x = get_device(), make_input(stage, batch, channels_last)
    tables = []
    for name, module in stage_variants(method, stage).items():
        _, step = make_steps(module.to(device).train(), x, amp)
        step()
        with torch.profiler.profile() as profiler:
            for _ in range(3):
                step()
        table = profiler.key_averages().table(
            sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40
        )
        tables.append(f"{method}, {name}, 3 steps\n{table}")
    return "\n".join(tables)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py layer``."""
    parser.add_argument(
        "--methods", nargs="+", default=["bireal", "irnet"], help="methods to compare"
    )
    parser.add_argument("--stage", type=cli.positive, default=1, choices=(1, 2, 3, 4))
    parser.add_argument(
        "--channels", type=cli.positive, help="instead of the stage's, stride 1"
    )
    parser.add_argument(
        "--size", type=cli.positive, help="pixels, instead of the stage's"
    )
    parser.add_argument("--batch", type=cli.positive, default=16, help="images")
    parser.add_argument("--rounds", type=cli.positive, default=15, help="timed rounds")
    parser.add_argument(
        "--channels-last", action="store_true", help="layout of both, instead of NCHW"
    )
    add_training_options(parser)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py layer``."""
    stage = STAGES[args.stage]
    if args.channels or args.size:
        width = args.channels or stage.channels
        stage = Stage(width, width, args.size or stage.size, 1)
    figures: dict[str, Any] = dict(
        stage=stage._asdict(),
        batch=args.batch,
        rounds=args.rounds,
        amp=args.amp,
        channels_last=args.channels_last,
        threads=torch.get_num_threads(),
    )
    for method in args.methods:
        figures[method] = bench_method(
            method, stage, args.batch, args.rounds, args.amp, args.channels_last
        )
        print(format_method(method, figures[method]))
        if args.profile:
            options = (args.batch, args.amp, args.channels_last)
            print(profile_layer(method, stage, *options))
    return figures


BENCH = Benchmark(
    help="blocks against published code",
    about="times forward and backward pass of a ResNet-18 stage and counts the memory "
    "it keeps, against the way published code writes it",
    add_options=add_options,
    measure=measure,
)
