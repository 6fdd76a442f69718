"""Accuracy of a network under each way to execute it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmengine.config import Config

from cmim.bench.latency.figures import VariantFigures
from cmim.bench.latency.variants import Variant
from cmim.data_parts import data_parts
from cmim.deploy.exported_model import load_exported
from cmim.engine.config import task_model_config
from cmim.engine.evaluate import evaluate, load_task_model
from cmim.identity import identity_of
from cmim.models import full_precision_twin


def measure_accuracy(
    figures: dict[str, VariantFigures],
    config: Config,
    trained: dict[str, str | None],
    variants: Sequence[Variant],
    images: int,
) -> None:
    """Add ``metrics`` on the first test images, as ``tools/test.py`` computes them.

    ``change`` is added as well: how the first metric differs from that of torch's
    float32 execution of the same weights.

    Args:
        figures: One dict for each variant, changed.
        config: Gives test data and metrics.
        trained: Checkpoints ``one_bit`` and ``twin``; without one, that network's
            variants have no metrics.
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
    model_config = task_model_config(config)
    for variant in variants:
        binary = variant.name in ("torch_simulation", "one_bit", "one_bit_int8")
        checkpoint = trained["one_bit" if binary else "twin"]
        # The compiled twin computes what the twin does.
        if checkpoint is None or variant.note or variant.name == "torch_compile":
            continue
        if variant.path is None:
            chosen = copy.deepcopy(config)
            if not binary:
                chosen.model = full_precision_twin(model_config)
            model = load_task_model(chosen, checkpoint)
        else:
            model = load_exported(
                model_config,
                variant.path,
                options=variant.options,
                identity=identity_of(config),
            )
        metrics = evaluate(model, config)
        for name in ("seconds", "images_per_second"):
            metrics.pop(name)
        figures[variant.name]["metrics"] = metrics
        first = next(iter(metrics))
        reference = figures["torch_simulation" if binary else "torch_fp32"]["metrics"]
        change = round(metrics[first] - reference[first], 4)
        figures[variant.name]["change"] = change
