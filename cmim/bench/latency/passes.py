"""What more threads do to each kind of pass, and which passes are element-wise.

An element-wise pass reads and writes whole feature maps and computes next to nothing,
so that it is bound by memory, which threads share. The engine joins such operations
into one pass, or hangs them onto a convolution, where it can; those that are left are
listed with what they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cmim.bench.latency.figures import ElementWisePass, NodeTime, Passes
from cmim.bench.latency.profile import node_times
from cmim.bench.latency.variants import Variant
from cmim.deploy.shared_core import shared_core

ELEMENT_WISE = "element-wise"


def profile_passes(variant: Variant, example: Tensor, threads: Sequence[int]) -> Passes:
    """Median times of the engine's nodes at each number of threads.

    Args:
        variant: An exported network in OpenVINO.
        example: An input.
        threads: Numbers of CPU threads.
    """
    kinds: dict[str, dict[str, float]] = {}
    passes: dict[str, ElementWisePass] = {}
    for count in threads:
        options = {"INFERENCE_NUM_THREADS": count, "PERF_COUNT": True}
        compiled = shared_core().compile_model(
            variant.path, "CPU", {**variant.options, **options}
        )
        made_of = {
            node.get_friendly_name(): (
                node.get_rt_info()["originalLayersNames"].astype(str),
                "x".join(map(str, node.get_output_shape(0))),
            )
            for node in compiled.get_runtime_model().get_ordered_ops()
            if node.get_output_size()
        }
        for node in node_times(compiled, example.numpy()):
            _add(kinds, passes, str(count), node, *made_of.get(node["name"], ("", "")))
    return Passes(kinds=kinds, element_wise=list(passes.values()))


def _add(
    kinds: dict[str, dict[str, float]],
    passes: dict[str, ElementWisePass],
    count: str,
    node: NodeTime,
    operations: str,
    output: str,
) -> None:
    times = kinds.setdefault(node["kind"], {})
    times[count] = round(times.get(count, 0.0) + node["ms"], 3)
    if node["kind"] == ELEMENT_WISE:
        made = ElementWisePass(operations=operations, output=output, ms={})
        found = passes.setdefault(node["name"], made)
        found["ms"][count] = round(node["ms"], 3)


def say_passes(passes: Passes, listed: bool) -> list[str]:
    """A line of the kinds; the element-wise passes, costliest first, if asked for.

    Args:
        passes: From :func:`profile_passes`.
        listed: Whether the passes are listed.
    """
    if not passes["kinds"]:
        return []
    counts = list(next(iter(passes["kinds"].values())))
    said = [
        f"{kind} {', '.join(f'{times.get(c, 0):.1f}' for c in counts)}"
        for kind, times in passes["kinds"].items()
    ]
    lines = [f"ms at {' and '.join(counts)} threads: {'; '.join(said)}"]
    found = sorted(passes["element_wise"], key=lambda row: -max(row["ms"].values()))
    lines.append(f"element-wise passes: {len(found)}")
    if listed:
        for row in found:
            times = "".join(f"{row['ms'].get(count, 0):8.2f}" for count in counts)
            lines.append(f"{times}  {row['output']:16s} {row['operations']}")
    return lines
