"""One encoder and a head for each task."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModel, ModuleDict
from mmseg.registry import MODELS
from torch import Tensor

from cmim.task import get_task, known_tasks
from tasks.multitask.weighting import make_weighting

MODES = ("loss", "predict", "tensor")


@MODELS.register_module()
class MultiTaskModel(BaseModel):
    r"""An encoder that several tasks share, called like mmseg's models.

    .. math:: L = \sum_t \lambda_t L_t

    Predictions are those of the single-task models: the same metrics evaluate them,
    with a ``prefix`` each, as several tasks name figures alike. Samples may lack the
    ground truth of some tasks: they contribute exactly 0 to the losses of those, and
    every parameter still has a gradient. In mode ``'loss'`` such samples get ground
    truth that says nothing (void labels, depth 0), which also the contrastive loss
    reads.

    :class:`cmim.models.CMIM` piles on it as on any task model. There is one encoder and
    so one contrastive loss for it by default; ``taps`` may name modules of heads, for
    example ``heads.depth.aspp.branches.*.binarize``. The twin has all heads in full
    precision.

    Args:
        backbone: Config of the encoder.
        heads: Config of each task's head by the task's name: ``seg``, ``depth``,
            ``normals``, ``edges``, ``scene`` or another :class:`cmim.task.Task`.
        weighting: Name, or ``dict(name=..., **options)``, of one of
            :mod:`tasks.multitask.weighting`; all weights 1 when None.
        bottleneck: Config of an :class:`InformationBottleneck`, or its beta alone (its
            channels are then those that the first head reads), or None for none.
        data_preprocessor: Config, usually mmseg's ``SegDataPreProcessor``.
        init_cfg: mmengine initialisation.

    Raises:
        ValueError: No head, or one of an unknown task.

    References:
        Vandenhende et al., Multi-Task Learning for Dense Prediction Tasks: A Survey,
        TPAMI 2021 (the shared-encoder baseline). https://arxiv.org/abs/2004.13379
    """

    def __init__(
        self,
        backbone: dict,
        heads: dict[str, dict],
        weighting: str | dict | None = None,
        bottleneck: float | dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        known = known_tasks()
        unknown = [task for task in heads if task not in known]
        if unknown or not heads:
            raise ValueError(
                f"heads must name one task or more of {', '.join(known)}, got "
                f"{', '.join(unknown) or 'none'}"
            )
        self.backbone = MODELS.build(backbone)
        if isinstance(bottleneck, (int, float)):
            channels = next(iter(heads.values()))["in_channels"]
            bottleneck = dict(
                type="InformationBottleneck", channels=channels, beta=bottleneck
            )
        self.bottleneck = None if bottleneck is None else MODELS.build(bottleneck)
        self.heads = ModuleDict({t: MODELS.build(head) for t, head in heads.items()})
        self.weighting = make_weighting(weighting or "fixed", tuple(heads))

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps that the heads read.

        Args:
            inputs: ``(N, 3, H, W)``, normalised.
        """
        return self._encode(inputs)[0]

    def _encode(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None]:
        features = self.backbone(inputs)
        return (
            (features, None) if self.bottleneck is None else self.bottleneck(features)
        )

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """Losses, filled samples or what the heads give.

        Args:
            inputs: ``(N, 3, H, W)``, normalised.
            data_samples: One an image, except in mode ``'tensor'``.
            mode: ``'loss'``: dictionary of weighted losses, ``TASK.NAME``;
                ``'predict'``: the samples with each task's ``prediction``;
                ``'tensor'``: output of each head by task.

        Raises:
            ValueError: Unknown mode, or samples missing where they are needed.
        """
        if mode not in MODES:
            raise ValueError(
                f"mode {mode!r} is unknown; choose from {', '.join(MODES)}"
            )
        if mode == "tensor":
            features = self.extract_feat(inputs)
            return {task: head(features) for task, head in self.heads.items()}
        if data_samples is None:
            raise ValueError(f"mode {mode!r} needs data_samples, one an image")
        if mode == "loss":
            return self._loss(inputs, data_samples)
        features = self.extract_feat(inputs)
        for task, head in self.heads.items():
            get_task(task).predict(head, features, data_samples)
        return data_samples

    def _loss(self, inputs: Tensor, samples: list) -> dict[str, Tensor]:
        features, divergence = self._encode(inputs)
        size = (inputs.shape[2], inputs.shape[3])
        present, own = [], {}
        for task, head in self.heads.items():
            kind = get_task(task)
            present.append(kind.complete(samples, size, inputs.device))
            own[task] = kind.loss(head, features, samples)
        totals = [sum(losses.values()) for losses in own.values()]
        weights, entries = self.weighting(totals, present)
        for (task, losses), weight in zip(own.items(), weights, strict=True):
            entries |= {f"{task}.{name}": weight * x for name, x in losses.items()}
            if isinstance(weight, Tensor):
                entries[f"{task}.weight"] = weight.detach()
        if divergence is not None:
            entries["bottleneck.loss"] = divergence
        return entries
