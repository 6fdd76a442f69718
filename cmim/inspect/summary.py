"""The whole network of a config in one table: bits, memory, operations."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from cmim.analysis.cost import LayerCost, as_records, layer_costs, totals
from cmim.data_parts import data_parts, named_size
from cmim.engine.config import ConfigError, task_model_config
from cmim.engine.config_place import named_part
from cmim.engine.record import network_of, one_name
from cmim.stages import input_bands

COLUMNS = "{:34s} {:>14s} {:>3s} {:>3s} {:>11s} {:>10s} {:>14s} {:>14s}"


@named_part
def summarize(config: Config, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Cost of a config's task model for one image.

    Args:
        config: A config of this project; the contrastive loss is left out, as it is
            no part of inference.
        size: ``(H, W)`` of the image in pixels; of the test images, else of the
            training crops, when None.

    Returns:
        ``network`` (see :func:`cmim.engine.record.network_of`), ``totals``, ``layers``
        (see :func:`cmim.analysis.cost.layer_costs`) and ``image``.

    Raises:
        ConfigError: No size was given and the config names none.
    """
    task = task_model_config(config)
    size = size or _image_size(config)
    model = MODELS.build(task)
    rows = layer_costs(model, torch.zeros(1, input_bands(model), *size), mode="tensor")
    return dict(
        network=network_of(task),
        totals=totals(rows),
        layers=as_records(rows),
        image=list(size),
    )


def _image_size(config: Config) -> tuple[int, int]:
    for loader, key in (
        ("test_dataloader", "size"),
        ("test_dataloader", "crop_size"),
        ("train_dataloader", "crop_size"),
    ):
        for _, part in data_parts(config, loader):
            if size := named_size(part, key):
                return tuple(size)
    raise ConfigError("the config names no image size; give --size HEIGHT WIDTH")


def as_table(summary: dict[str, Any], every: bool = False) -> str:
    """The summary as text.

    Args:
        summary: From :func:`summarize`.
        every: A line for batch-norms, scales and slopes too, which are otherwise
            added up in one line.
    """
    rows = [LayerCost(**record) for record in summary["layers"]]
    shown = [r for r in rows if every or r.bops or r.flops]
    hidden = [r for r in rows if not (every or r.bops or r.flops)]
    lines = [
        COLUMNS.format(
            "layer", "output", "W", "A", "values", "kbit", "1-bit MACs", "32-bit MACs"
        )
    ]
    for row in shown:
        lines.append(
            COLUMNS.format(
                row.name[-34:],
                "x".join(map(str, row.shape)),
                str(row.weight_bits),
                str(row.activation_bits),
                f"{row.parameters:,}",
                f"{row.memory_bits / 1e3:,.1f}",
                f"{row.bops:,}",
                f"{row.flops:,}",
            )
        )
    if hidden:
        lines.append(
            COLUMNS.format(
                f"{len(hidden)} batch-norms, scales, slopes ...",
                "",
                "32",
                "",
                f"{sum(r.parameters for r in hidden):,}",
                f"{sum(r.memory_bits for r in hidden) / 1e3:,.1f}",
                "",
                "",
            )
        )
    return "\n".join(lines)


def one_sentence(summary: dict[str, Any]) -> str:
    """The totals with their units on one line."""
    total = summary["totals"]
    height, width = summary["image"]
    return (
        f"{one_name(summary['network'])}  {height}x{width}: OPs {total['ops']:.4g} = "
        f"BOPs {total['bops']:.4g} / 64 + FLOPs {total['flops']:.4g}  "
        f"memory {total['memory_mbit']:.1f} Mbit "
        f"({total['memory_mbit'] / 8:.2f} MB)  values {total['parameters']:,}"
    )
