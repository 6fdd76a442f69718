"""Times of all variants, in turns, and what follows of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cmim.bench.latency.variants import Variant
from cmim.bench.turns import CLOCKS, time_turns

BASELINES = {
    "speedup_vs_torch_fp32": "torch_fp32",
    "speedup_vs_openvino_fp32": "openvino_fp32",
    "speedup_vs_openvino_int8": "openvino_int8",
}
# Networks that are the config's own.
OWN = ("one_bit", "twin")


def fastest(variants: Sequence[Variant]) -> Variant:
    """The 1-bit variant with the fewest float layers that was measured."""
    names = {v.name: v for v in variants if v.note is None}
    return names.get("one_bit_int8", names["one_bit"])


def time_variants(
    variants: Sequence[Variant],
    threads: int,
    rounds: int,
    example: Tensor,
    clock: str = "wall",
) -> dict[str, list[float]]:
    """Milliseconds of each variant in each round; one that cannot run gets a note."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    turns = {}
    for variant in variants:
        if variant.note is not None:
            continue
        try:
            turns[variant.name] = variant.prepare(threads, example)
        except Exception as error:
            variant.note = why_not(variant, error)
    times = time_turns(
        turns,
        rounds,
        warm_up=0,
        rehearsed=True,
        label=f"{threads} threads",
        clock=CLOCKS[clock],
    )
    torch.set_num_threads(before)
    return {name: [1e3 * each for each in seconds] for name, seconds in times.items()}


def why_not(variant: Variant, error: Exception) -> str:
    """Why a variant has no times, in words.

    Args:
        variant: The variant.
        error: What ended its first pass.

    Raises:
        Exception: ``error``, unless the others can be compared without this variant.
    """
    lines = str(error).strip().splitlines()
    if variant.name == "torch_compile":
        # It needs a C++ compiler, and does not support every machine.
        return f"not measured: {lines[0]}"
    if variant.name != "one_bit" and variant.path and isinstance(error, RuntimeError):
        # Engines wrap the cause in where it was noticed.
        return f"not measured: the engine refuses it on this processor: {lines[-1]}"
    raise error


def summarise(
    variants: Sequence[Variant], times: dict[str, list[float]]
) -> dict[str, Any]:
    """Medians, ratios within rounds, and sizes, see :class:`LatencyFigures`."""
    ours = fastest(variants)
    sizes = {v.name: v.megabytes for v in variants}
    row: dict[str, Any] = dict(
        ms={name: round(statistics.median(t), 2) for name, t in times.items()},
        spread_ms={
            name: [round(min(t), 2), round(max(t), 2)] for name, t in times.items()
        },
        fastest=ours.name,
        size_ratio=round(sizes["openvino_fp32"] / sizes[ours.name], 2),
    )
    for network, suffix in ((ours.name, ""), ("one_bit", "_one_bit_only")):
        for key, name in BASELINES.items():
            if name in times:
                pairs = zip(times[name], times[network], strict=True)
                ratio = statistics.median(slow / fast for slow, fast in pairs)
                row[key + suffix] = round(ratio, 2)
    rivals = [v.name for v in variants if v.network not in OWN and v.name in times]
    row["rivals"] = {
        name: round(
            statistics.median(
                theirs / our
                for theirs, our in zip(times[name], times[ours.name], strict=True)
            ),
            3,
        )
        for name in rivals
    }
    return row
