"""Figures of a network on corrupted test pictures."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from cmim.data_parts import data_parts, kind_of
from cmim.engine.corruptions import (
    KINDS,
    SEVERITIES,
    check_corruptions,
    corrupt_picture,
)
from cmim.engine.evaluate import evaluate
from cmim.task import known_tasks


class CorruptedView:
    """A model that sees the pictures of a data set corrupted, in their order.

    They are corrupted as the network gets them, at its input size, as ImageNet-C's are.

    Args:
        model: A task model in evaluation mode.
        kind: See :data:`~cmim.engine.corruptions.KINDS`.
        severity: 1 to 5.
    """

    def __init__(self, model: BaseModel, kind: str, severity: int) -> None:
        self.model = model
        self.kind = kind
        self.severity = severity
        self._seen = 0

    def test_step(self, batch: Mapping[str, Any]) -> Any:
        """Predict a batch whose pictures are corrupted first."""
        changed = [
            corrupt_picture(picture, self.kind, self.severity, self._seen + k)
            for k, picture in enumerate(batch["inputs"])
        ]
        self._seen += len(changed)
        stacked = isinstance(batch["inputs"], torch.Tensor)
        inputs = torch.stack(changed) if stacked else changed
        return self.model.test_step({**batch, "inputs": inputs})


def measure_robustness(
    model: BaseModel,
    config: Config,
    kinds: Sequence[str] = KINDS,
    severities: Sequence[int] = SEVERITIES,
    images: int | None = None,
) -> dict[str, Any]:
    """Test a model on clean pictures and on each kind of corrupted ones.

    Args:
        model: A task model in evaluation mode.
        config: Gives test data and metrics.
        kinds: Of corruptions.
        severities: From 1 to 5.
        images: The first of each test data set, in folders of classes of each class;
            all when None.

    Returns:
        ``images``, how many; ``clean``, the main figures; ``kinds``: main figures by
        kind and severity (as text, as in JSON).

    Raises:
        ConfigError: Unknown kinds or severities, pictures of other bands.
        ImportError: The package imagecorruptions is missing.
    """
    check_corruptions(kinds, severities, images)
    config = copy.deepcopy(config)
    if images is not None:
        for _, part in data_parts(config, "test_dataloader"):
            keep_first(part, images)
    clean = evaluate(model, config)

    def corrupted(kind: str, severity: int) -> dict[str, float]:
        view = cast(BaseModel, CorruptedView(model, kind, severity))
        return _main(evaluate(view, config))

    return dict(
        images=clean["images"],
        clean=_main(clean),
        kinds={
            kind: {str(severity): corrupted(kind, severity) for severity in severities}
            for kind in kinds
        },
    )


def keep_first(part: Any, images: int) -> None:
    """Change a data set's options to those of its first images.

    Data sets of this project have ``limit``; others have mmengine's ``indices``.

    Args:
        part: Options, from :func:`cmim.data_parts.data_parts`.
        images: How many, at least 1.
    """
    lines = kind_of(part).__mro__
    limited = any("limit" in inspect.signature(c.__init__).parameters for c in lines)
    key = "limit" if limited else "indices"
    had = part.get(key)
    if isinstance(had, (list, tuple)):
        part[key] = list(had)[:images]
    else:
        part[key] = min(images, had or images)


def _main(figures: Mapping[str, Any]) -> dict[str, float]:
    main = {task.figure for task in known_tasks().values()}
    return {k: v for k, v in figures.items() if k.rpartition("/")[2] in main}


def robustness_table(found: Mapping[str, Any]) -> str:
    """The figures of :func:`measure_robustness` as lines, a kind a line.

    Examples:
        >>> print(robustness_table(dict(images=2, clean={"mIoU": 8.5},
        ...     kinds={"fog": {"1": {"mIoU": 8.0}, "5": {"mIoU": 4.0}}})))
        mIoU            1      5   mean  of 2 images, 8.5 on clean ones
        fog             8      4      6
    """
    width = max(map(len, found["kinds"]), default=0)
    severities = list(next(iter(found["kinds"].values())))
    lines = []
    for figure, clean in found["clean"].items():
        wide = max(width, len(figure)) + 2
        head = "".join(f"{severity:>7s}" for severity in [*severities, "mean"])
        images = f"of {found['images']} images, {clean:.4g} on clean ones"
        lines.append(f"{figure:<{wide}s}{head}  {images}")
        for kind, by_severity in found["kinds"].items():
            values = [by_severity[severity][figure] for severity in severities]
            mean = sum(values) / len(values)
            cells = "".join(f"{value:7.4g}" for value in [*values, mean])
            lines.append(f"{kind:<{wide}s}{cells}")
    return "\n".join(lines)
