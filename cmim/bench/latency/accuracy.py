"""Accuracy of networks under each way to execute them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from mmseg.registry import MODELS

from cmim.bench.latency.engines import make_network
from cmim.bench.latency.figures import VariantFigures
from cmim.bench.latency.variants import Variant
from cmim.data_parts import data_parts
from cmim.deploy.engine import with_network
from cmim.deploy.exported_model import load_exported
from cmim.engine.evaluate import evaluate, load_task_model


@dataclass(frozen=True)
class Trained:
    """A network whose accuracy can be measured.

    Attributes:
        model: Config of its task model.
        identity: :func:`cmim.identity.identity_of` its config.
        checkpoint: Its weights; without them it has no accuracy.
    """

    model: dict
    identity: dict[str, Any]
    checkpoint: str | None


def measure_accuracy(
    figures: dict[str, VariantFigures],
    config: Config,
    networks: Mapping[str, Trained],
    variants: Sequence[Variant],
    images: int,
) -> None:
    """Add ``metrics`` on the first test images, as ``tools/test.py`` computes them.

    ``change`` is added as well: how the first metric differs from that of torch's
    float32 execution of the same weights, of a rival from OpenVINO's.

    Args:
        figures: One dict for each variant, changed.
        config: Gives test data and metrics, those of rivals too.
        networks: By name; variants of one without a checkpoint have no metrics.
        variants: All variants that were timed.
        images: Number of test images.
    """
    config = copy.deepcopy(config)
    parts = data_parts(config, "test_dataloader")
    for place, (_, part) in enumerate(parts):
        # Of several data sets the first images each, as many in all.
        part["limit"] = max(1, (images + place) // len(parts))
    # A process forked beside the engine's threads may crash.
    config.test_dataloader.update(num_workers=0, persistent_workers=False)
    references: dict[str, float] = {}
    for variant in variants:
        network = networks[variant.network]
        # The compiled twin computes what the twin does.
        if not network.checkpoint or variant.note or variant.name == "torch_compile":
            continue
        metrics = evaluate(_load(variant, network, config), config)
        for name in ("seconds", "images_per_second"):
            metrics.pop(name)
        row = figures[variant.name]
        row["metrics"] = metrics
        first = metrics[next(iter(metrics))]
        # The first one of each network is its plain execution in float32.
        row["change"] = round(first - references.setdefault(variant.network, first), 4)


def _load(variant: Variant, network: Trained, config: Config) -> BaseModel:
    """The task model, its network executed as the variant says."""
    assert network.checkpoint is not None
    if variant.path is None:
        chosen = copy.deepcopy(config)
        chosen.model = copy.deepcopy(network.model)
        return load_task_model(chosen, network.checkpoint)
    if variant.path.endswith(".xml"):
        return load_exported(
            copy.deepcopy(network.model),
            variant.path,
            options=variant.options,
            identity=network.identity,
        )
    model = MODELS.build(copy.deepcopy(network.model)).eval().requires_grad_(False)
    return with_network(model, make_network(variant.path, variant.options))
