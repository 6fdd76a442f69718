"""What a stage of binary blocks costs, here and the way published code writes it."""

from __future__ import annotations

import copy
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.device import get_device
from torch import Tensor, nn

from cmim.bench.published_blocks import METHODS, PublishedBlock
from cmim.bench.turns import time_turns
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


def kept_bytes(forward: Callable[[], Tensor], free: Iterable[Tensor] = ()) -> int:
    """Bytes of the storages that autograd keeps between forward and backward pass.

    Each storage counts once and whole, as it is kept: packed, where a function packs.

    Args:
        forward: Runs the forward pass with gradients.
        free: Tensors that do not count: parameters, buffers, the input.

    Examples:
        >>> x = torch.ones(10, requires_grad=True)
        >>> kept_bytes(lambda: x.exp()), kept_bytes(lambda: x * x, free=[x])
        (40, 0)
    """
    excluded = {tensor.untyped_storage().data_ptr() for tensor in free}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        # The reference keeps the address from being given out again.
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(
        tensor.untyped_storage().nbytes()
        for address, tensor in kept.items()
        if address not in excluded
    )


def peak_bytes(step: Callable[[], None], device: str) -> int:
    """Most memory that tensors of a step take at once, above what was taken before.

    Read from the allocator on a GPU and from the profiler's log of allocations on a
    CPU, which does not see what convolution libraries take for themselves.

    Args:
        step: What to run.
        device: ``'cpu'`` or ``'cuda'``.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with tempfile.TemporaryDirectory() as folder:
        with torch.profiler.profile(
            activities=activities, profile_memory=True
        ) as profiler:
            step()
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Bytes"])
        for event in events
        if event.get("name") == "[memory]"
    )
    peak = taken = 0
    for _, change in changes:
        taken += change
        peak = max(peak, taken)
    return peak


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
