"""Encoder and head that give one label an image."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor

from tasks.classification.task import fill_label

MODES = ("loss", "predict", "tensor")


@MODELS.register_module()
class ImageClassifier(BaseModel):
    """An encoder and a classification head, called like mmseg's models.

    Args:
        backbone: Config of the encoder, a tuple of feature maps.
        head: Config of the head, for example ``LinearHead``.
        data_preprocessor: Config; ``ImgDataPreprocessor`` normalises whole batches.
        init_cfg: mmengine initialisation.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of the encoder.

        Args:
            inputs: ``(N, 3, H, W)``, normalised.
        """
        return self.backbone(inputs)

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """Losses, filled samples or logits.

        Args:
            inputs: ``(N, 3, H, W)``, normalised.
            data_samples: Samples with ``gt_label`` in mode ``'loss'``.
            mode: ``'loss'``: dictionary of losses; ``'predict'``: the samples with
                ``pred_logits`` ``(K,)`` (float32 at least) and ``pred_label``
                ``()`` int64; ``'tensor'``: logits ``(N, K)``.

        Raises:
            ValueError: Unknown mode, or samples missing where they are needed.
        """
        if mode not in MODES:
            raise ValueError(
                f"mode {mode!r} is unknown; choose from {', '.join(MODES)}"
            )
        features = self.extract_feat(inputs)
        if mode == "tensor":
            return self.head(features)
        if data_samples is None:
            raise ValueError(f"mode {mode!r} needs data_samples, one an image")
        if mode == "loss":
            return self.head.loss(features, data_samples)
        fill_label(self.head(features), data_samples)
        return data_samples
