"""Peak memory of each way to execute a network, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from mmseg.registry import MODELS
from torch import Tensor

from cmim.bench.latency.engines import prepare_file
from cmim.bench.latency.figures import VariantFigures
from cmim.bench.latency.variants import Variant
from cmim.deploy.network_core import NetworkCore
from cmim.models import full_precision_twin

PASSES = 3
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure_memory(
    figures: dict[str, VariantFigures],
    variants: Sequence[Variant],
    model_config: dict,
    example: Tensor,
) -> None:
    """Add ``peak_mb``: peak resident memory in MB above a process with its libraries.

    It includes weights, activations and the memory in which the engine compiles the
    network, on one thread. Only Linux tells it; torch.compile is left out, since most
    of its memory is the compiler's.

    Args:
        figures: One dict for each variant, changed.
        variants: All variants that were timed.
        model_config: Config of the binary task model.
        example: An input.
    """
    if not RESET.exists():
        return
    context = multiprocessing.get_context("spawn")
    for variant in variants:
        if variant.note is not None or variant.name == "torch_compile":
            continue
        twin = variant.name == "torch_fp32"
        network = full_precision_twin(model_config) if twin else model_config
        ours, theirs = context.Pipe()
        job = (variant.path or network, variant.options, tuple(example.shape))
        process = context.Process(target=_measure, args=(theirs, *job))
        process.start()
        theirs.close()
        try:
            figures[variant.name]["peak_mb"] = round(ours.recv(), 1)
        except EOFError:
            figures[variant.name]["peak_mb"] = None
        process.join()


def _measure(
    pipe: Connection, network: str | dict, options: dict, shape: tuple[int, ...]
) -> None:
    torch.set_num_threads(1)
    # Kernels and thread pools that load on first use.
    torch.nn.functional.conv2d(torch.zeros(1, 8, 9, 9), torch.zeros(8, 8, 3, 3))
    example = torch.zeros(shape)
    RESET.write_text("5")
    before = _resident("VmRSS")
    if isinstance(network, str):
        run = prepare_file(network, options, 1, example)
    else:
        core = NetworkCore(MODELS.build(network).eval()).float()
        run = Variant("torch", "torch", module=core).prepare(1, example)
    for _ in range(PASSES):
        run()
    pipe.send(_resident("VmHWM") - before)
    pipe.close()


def _resident(field: str) -> float:
    """A field of the process's status in MB."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6
