"""The nodes that an exported network spends its time in, and its bottleneck."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import openvino as ov
import torch
from mmengine.model import BaseModel
from torch import Tensor

from cmim.bench.latency.figures import NodeTime, Profile
from cmim.bench.latency.variants import Variant
from cmim.deploy.cpu_kernels import binary_kernels
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.packed_conv import PackedConv, pack_network
from cmim.deploy.sample_layer import sample_layer
from cmim.deploy.shared_core import shared_core
from cmim.deploy.verify import compile_layer

RUNS = 15
# Plain names of the engine's node types.
KINDS = {
    "BinaryConvolution": "binary convolutions",
    "FakeQuantize": "thresholds",
    "Convolution": "other convolutions",
    "FullyConnected": "other convolutions",
    "MatMul": "other convolutions",
    "Subgraph": "element-wise",
    "Add": "element-wise",
    "Multiply": "element-wise",
    "Eltwise": "element-wise",
    "MaxPool": "pooling",
    "AvgPool": "pooling",
    "Pad": "padding",
    "Reorder": "changes of layout",
}


def profile_network(
    variant: Variant, model: BaseModel, example: Tensor
) -> tuple[Profile, list[str]]:
    """Median times of the engine's nodes on one thread.

    Args:
        variant: An exported network.
        model: The binary task model it was made of.
        example: An input.

    Returns:
        The profile, and the engine's kernels of binary convolutions.
    """
    compiled = shared_core().compile_model(
        variant.path,
        "CPU",
        {**variant.options, "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True},
    )
    nodes = node_times(compiled, example.numpy())
    kinds: dict[str, float] = {}
    for node in nodes:
        kinds[node["kind"]] = kinds.get(node["kind"], 0.0) + node["ms"]
    kinds = {k: round(v, 2) for k, v in sorted(kinds.items(), key=lambda x: -x[1])}
    operations = binary_operations(model, example)
    took = kinds.get("binary convolutions")
    profile = Profile(
        network=variant.name,
        total_ms=round(sum(kinds.values()), 2),
        kinds=kinds,
        nodes=nodes,
        binary_gops=round(operations / 1e9, 2),
        binary_tops=round(operations / took / 1e9, 2) if took else None,
        cached_tops=round(cached_rate(), 2),
    )
    for node in profile["nodes"]:
        node["ms"] = round(node["ms"], 3)
    return profile, binary_kernels(compiled)


def binary_operations(model: BaseModel, example: Tensor) -> int:
    """Multiplications and additions of a network's binary convolutions."""
    core, names = pack_network(NetworkCore(model).float(), example)
    counts = []

    def count(module: PackedConv, _: Any, out: Tensor) -> None:
        _, i, kh, kw = module.layer.shape
        counts.append(2 * i * kh * kw * out.numel() * module.layer.products)

    for name in names:
        core.get_submodule(name).register_forward_hook(count)
    with torch.no_grad():
        core(example)
    return sum(counts)


def cached_rate(channels: int = 256, size: int = 28) -> float:
    """10^12 operations a second of a 3x3 binary convolution in the cache."""
    shape = (1, channels, size, size)
    options = {"INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
    compiled = compile_layer(sample_layer(channels), shape, options)
    nodes = node_times(compiled, np.zeros(shape, np.float32))
    ms = next(n["ms"] for n in nodes if n["kind"] == "binary convolutions")
    return 2 * channels * channels * 9 * size * size / ms / 1e9


def node_times(compiled: ov.CompiledModel, image: np.ndarray) -> list[NodeTime]:
    """Median times of the nodes that take any, costliest first."""
    request = compiled.create_infer_request()
    times: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(RUNS):
        request.infer([image])
        for info in request.profiling_info:
            key = (info.node_name, info.node_type, info.exec_type)
            times.setdefault(key, []).append(info.real_time.total_seconds() * 1e3)
    rows = [
        NodeTime(
            name=name,
            kind=KINDS.get(kind, "other"),
            kernel=kernel,
            ms=statistics.median(found),
        )
        for (name, kind, kernel), found in times.items()
    ]
    return sorted((row for row in rows if row["ms"] > 0), key=lambda row: -row["ms"])


def say_bound(profile: Profile) -> str:
    """The bottleneck of the network, in a sentence or two."""
    kinds, total = profile["kinds"], profile["total_ms"]
    first = next(iter(kinds))
    text = f"{first} take {kinds[first]:.1f} of {total:.1f} ms"
    rate, cached = profile["binary_tops"], profile["cached_tops"]
    if rate is None or first != "binary convolutions":
        rest = kinds.get("binary convolutions", 0.0)
        return (
            f"{text}, binary convolutions {rest:.1f}: fewer or narrower "
            "full-precision layers, or --rest int8, would lift it"
        )
    verdict = (
        "the kernel's arithmetic bounds them"
        if rate > 0.7 * cached
        else "memory bounds them"
    )
    others = [f"{kind} {ms:.1f}" for kind, ms in list(kinds.items())[1:5]]
    return (
        f"{text} at {rate:.2f} x 10^12 operations a second; in the cache the kernel "
        f"reaches {cached:.2f}: {verdict}. Then: {', '.join(others)} ms"
    )
