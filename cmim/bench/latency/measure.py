"""How long one network takes on this CPU, executed in many ways, in one run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from cmim.bench.latency.accuracy import measure_accuracy
from cmim.bench.latency.figures import LatencyFigures, VariantFigures
from cmim.bench.latency.memory import measure_memory
from cmim.bench.latency.profile import profile_network
from cmim.bench.latency.variants import Variant, build_networks, make_variants
from cmim.bench.turns import time_turns
from cmim.data_parts import data_parts, named_size
from cmim.deploy.cpu_kernels import describe_kernels, has_vector_popcount
from cmim.engine.config import ConfigError, pipelines_of, task_model_config
from cmim.engine.config_place import named_part
from cmim.export.images import calibration_images
from cmim.identity import identity_of
from cmim.optional_packages import is_installed
from cmim.stages import input_bands

BASELINES = {
    "speedup_vs_torch_fp32": "torch_fp32",
    "speedup_vs_openvino_fp32": "openvino_fp32",
    "speedup_vs_openvino_int8": "openvino_int8",
}


@named_part
def bench_latency(
    config: Config,
    checkpoint: str | None = None,
    twin_checkpoint: str | None = None,
    size: tuple[int, int] | None = None,
    threads: Sequence[int] = (1, 2),
    rounds: int = 11,
    images: int = 0,
    out: str | Path = "work_dirs/latency",
) -> LatencyFigures:
    """Time a network and its full-precision twin, the variants taking turns.

    Every turn has one pass that is not timed, so that the caches hold what they hold
    where a network runs alone, and one pass that is timed.

    Args:
        config: A config of this project.
        checkpoint: Checkpoint of the binary network; random weights take the same time.
        twin_checkpoint: Checkpoint of its twin, for the accuracy of those variants.
        size: Height and width of the input in pixels; the size that the test pipeline
            resizes to when None.
        threads: Numbers of CPU threads.
        rounds: Timed turns of each variant.
        images: Test images for the accuracy; none when 0.
        out: Folder for the exported networks and the picture.

    Raises:
        ConfigError: No size is known, accuracy without checkpoint, or a binary network
            that is not one.
    """
    if images and checkpoint is None:
        raise ConfigError("accuracy needs a trained network: name its CHECKPOINT")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    height, width = size or input_size(config)
    torch.manual_seed(0)
    model_config = task_model_config(config)
    if model_config["backbone"].get("init_from"):
        model_config["backbone"]["init_from"] = None
    identity = identity_of(config)
    binary, twin = build_networks(model_config, checkpoint, twin_checkpoint, identity)
    example = torch.randn(1, input_bands(binary), height, width)
    calibration, source = _calibration(config, binary, (height, width))
    variants = make_variants(binary, twin, calibration, example, out, identity)
    times = {
        str(n): _summarise(variants, _time(variants, n, rounds, example))
        for n in threads
    }
    rows = {
        v.name: VariantFigures(
            label=v.label, megabytes=round(v.megabytes, 3), note=v.note
        )
        for v in variants
    }
    measure_memory(rows, variants, model_config, example)
    trained = dict(one_bit=checkpoint, twin=twin_checkpoint)
    if images:
        measure_accuracy(rows, config, trained, variants, images)
    profile, kernels = profile_network(fastest(variants), binary, example)
    return LatencyFigures(
        input=list(example.shape),
        rounds=rounds,
        calibration=source,
        threads=times,
        variants=rows,
        profile=profile,
        kernels=describe_kernels(kernels, popcount=has_vector_popcount()),
    )


def input_size(config: Config) -> tuple[int, int]:
    """The size that the test pipeline resizes images to.

    Raises:
        ConfigError: The pipeline does not resize them.
    """
    pipelines_of(config, "test_dataloader")
    for _, part in reversed(data_parts(config, "test_dataloader")):
        if size := named_size(part, "size"):
            return int(size[0]), int(size[1])
    raise ConfigError(
        "the test images keep their own size: name the network's input with --size "
        "HEIGHT WIDTH, for example --size 480 640"
    )


def fastest(variants: Sequence[Variant]) -> Variant:
    """The 1-bit variant with the fewest float layers that was measured."""
    names = {v.name: v for v in variants if v.note is None}
    return names.get("one_bit_int8", names["one_bit"])


def _calibration(
    config: Config, model: Any, size: tuple[int, int]
) -> tuple[list[Tensor] | None, str]:
    if not is_installed("nncf"):
        return None, "no 8-bit variants"
    parts = data_parts(config, "train_dataloader")
    if not all(Path(str(part.get("data_root"))).is_dir() for _, part in parts):
        shape = (1, input_bands(model), *size)
        # Time does not depend on the ranges; accuracy does, and needs the data anyway.
        return [torch.randn(shape) for _ in range(4)], "random images"
    return calibration_images(config, model, size, 1, 32), "32 training images"


def _time(
    variants: Sequence[Variant], threads: int, rounds: int, example: Tensor
) -> dict[str, list[float]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    turns = {}
    for variant in variants:
        if variant.note is not None:
            continue
        try:
            turns[variant.name] = variant.prepare(threads, example)
        except Exception as error:
            if variant.name != "torch_compile":
                raise
            # It needs a C++ compiler, and does not support every machine.
            variant.note = f"not measured: {str(error).strip().splitlines()[0]}"
    times = time_turns(
        turns, rounds, warm_up=0, rehearsed=True, label=f"{threads} threads"
    )
    torch.set_num_threads(before)
    return {name: [1e3 * each for each in seconds] for name, seconds in times.items()}


def _summarise(
    variants: Sequence[Variant], times: dict[str, list[float]]
) -> dict[str, Any]:
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
    return row
