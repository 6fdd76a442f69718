"""Memory of tensors: what a forward pass keeps, and the most that a step takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor


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
        step: Runs the step.
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
