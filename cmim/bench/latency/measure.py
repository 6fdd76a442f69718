"""How long one network takes on this CPU, executed in many ways, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from cmim.bench.latency.accuracy import Trained, measure_accuracy
from cmim.bench.latency.figures import (
    LatencyFigures,
    RecordedFigures,
    VariantFigures,
)
from cmim.bench.latency.memory import measure_memory
from cmim.bench.latency.passes import profile_passes
from cmim.bench.latency.profile import profile_network
from cmim.bench.latency.rival_variants import make_rival_variants
from cmim.bench.latency.rivals import Rival, read_rivals, recorded_figures
from cmim.bench.latency.timing import fastest, summarise, time_variants
from cmim.bench.latency.variants import Variant, build_networks, make_variants
from cmim.data_parts import data_parts, named_size
from cmim.deploy.cpu_kernels import describe_kernels, has_vector_popcount
from cmim.engine.config import ConfigError, pipelines_of, task_model_config
from cmim.engine.config_place import named_part
from cmim.export.images import calibration_images
from cmim.identity import identity_of
from cmim.models import full_precision_twin
from cmim.optional_packages import is_installed
from cmim.stages import input_bands
from cmim.task_model import describe


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
    rivals: Sequence[str] = (),
    checkpoints: Mapping[str, str] | None = None,
    clock: str = "wall",
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
        rivals: Networks to compare with, see :mod:`cmim.bench.latency.rivals`.
        checkpoints: Their weights by name.
        clock: ``wall``, or ``cpu`` for the time that the processor spent, which other
            programs change little.

    Raises:
        ConfigError: No size is known, accuracy without checkpoint, a binary network
            that is not one, a rival that is none, or the processor's time of several
            threads, which is no latency.
    """
    if clock == "cpu" and any(count > 1 for count in threads):
        raise ConfigError("--clock cpu adds up all threads: ask for --threads 1")
    if images and checkpoint is None:
        raise ConfigError("accuracy needs a trained network: name its CHECKPOINT")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    against = read_rivals(config, rivals, checkpoints)
    height, width = size or input_size(config)
    torch.manual_seed(0)
    networks = _networks(config, checkpoint, twin_checkpoint, against)
    own = networks["one_bit"]
    binary, twin = build_networks(own.model, checkpoint, twin_checkpoint, own.identity)
    example = torch.randn(1, input_bands(binary), height, width)
    calibration, source = _calibration(config, binary, (height, width))
    variants = make_variants(binary, twin, calibration, example, out, own.identity)
    for rival in against:
        variants += make_rival_variants(rival, calibration, example, out)
    times = {
        str(n): summarise(variants, time_variants(variants, n, rounds, example, clock))
        for n in threads
    }
    rows = _rows(variants)
    measure_memory(rows, variants, own.model, example)
    if images:
        measure_accuracy(rows, config, networks, variants, images)
    profile, kernels = profile_network(fastest(variants), binary, example)
    return LatencyFigures(
        input=list(example.shape),
        rounds=rounds,
        clock=clock,
        calibration=source,
        threads=times,
        variants=rows,
        rivals=[rival.name for rival in against],
        recorded=_recorded(networks),
        higher_is_better=_higher_is_better(own.model),
        profile=profile,
        passes=profile_passes(fastest(variants), example, threads),
        kernels=describe_kernels(kernels, popcount=has_vector_popcount()),
    )


def _networks(
    config: Config, checkpoint: str | None, twin: str | None, rivals: Sequence[Rival]
) -> dict[str, Trained]:
    """All networks by the name that variants call them by."""
    model = task_model_config(config)
    if model["backbone"].get("init_from"):
        model["backbone"]["init_from"] = None
    identity = identity_of(config)
    return {
        "one_bit": Trained(model, identity, checkpoint),
        "twin": Trained(full_precision_twin(model), identity, twin),
        **{r.name: Trained(r.model, r.identity, r.checkpoint) for r in rivals},
    }


def _rows(variants: Sequence[Variant]) -> dict[str, VariantFigures]:
    return {
        v.name: VariantFigures(
            network=v.network,
            label=v.label,
            megabytes=round(v.megabytes, 3),
            note=v.note,
        )
        for v in variants
    }


def _recorded(networks: Mapping[str, Trained]) -> dict[str, RecordedFigures]:
    """What lies beside the checkpoints."""
    found = {
        name: recorded_figures(network.checkpoint)
        for name, network in networks.items()
        if network.checkpoint
    }
    return {name: record for name, record in found.items() if record is not None}


def _higher_is_better(model: dict) -> bool:
    """Of the first metric, which is the first head's."""
    heads = list(describe(model).heads.values())
    return not heads or heads[0].kind.higher_is_better


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


def _calibration(
    config: Config, model: Any, size: tuple[int, int]
) -> tuple[list[Tensor] | None, str]:
    if not is_installed("nncf") and not is_installed("onnxruntime"):
        return None, "no 8-bit variants"
    parts = data_parts(config, "train_dataloader")
    if not all(Path(str(part.get("data_root"))).is_dir() for _, part in parts):
        shape = (1, input_bands(model), *size)
        # Time does not depend on the ranges; accuracy does, and needs the data anyway.
        return [torch.randn(shape) for _ in range(4)], "random images"
    return calibration_images(config, model, size, 1, 32), "32 training images"
