"""How long the network of a config takes in OpenVINO, by itself."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from cmim.bench.latency.measure import input_size
from cmim.bench.latency.timing import time_variants
from cmim.bench.latency.variants import build_network, save_variant
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.openvino_export import convert_packed
from cmim.deploy.packed_conv import pack_network
from cmim.engine.config import task_model_config
from cmim.engine.config_place import named_part
from cmim.identity import identity_of
from cmim.stages import input_bands


@named_part
def time_network(
    config: Config, checkpoint: str | None = None, threads: int = 1, rounds: int = 15
) -> dict[str, Any]:
    """Time one image through a network: binary layers with 1 bit, others in float32.

    On one thread it is the time that the processor spent, which other programs change
    little; on several it is the time that passed.

    Args:
        config: A config of this project, of a binary network or not.
        checkpoint: Its weights; random ones, which take the same time, when None.
        threads: CPU threads.
        rounds: Timed passes, each behind one that is not.

    Returns:
        ``ms``, the median, ``spread_ms`` (fewest and most), ``clock``, ``threads``,
        ``input`` (shape), ``binary_layers`` (how many have 1 bit) and ``megabytes`` of
        the exported file.

    Raises:
        ConfigError: No input size is known.
        ExportError: A layer has no exported form.
    """
    own, identity = task_model_config(config), identity_of(config)
    if own["backbone"].get("init_from"):
        own["backbone"]["init_from"] = None
    model = build_network(own, checkpoint, identity)
    example = torch.randn(1, input_bands(model), *input_size(config))
    packed, binary = pack_network(NetworkCore(model).float(), example)
    with torch.no_grad():
        packed(example)
    network = convert_packed(packed, example)
    clock = "cpu" if threads == 1 else "wall"
    with tempfile.TemporaryDirectory() as folder:
        variant = save_variant(
            "network", "OpenVINO", network, model, Path(folder), identity
        )
        times = time_variants([variant], threads, rounds, example, clock)["network"]
    return dict(
        ms=round(statistics.median(times), 3),
        spread_ms=[round(min(times), 3), round(max(times), 3)],
        clock=clock,
        threads=threads,
        input=list(example.shape),
        binary_layers=len(binary),
        megabytes=round(variant.megabytes, 3),
    )
