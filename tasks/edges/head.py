"""Head for semantic edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from tasks.heads import ASPP, fusion
from tasks.heads.aspp import upsample
from tasks.heads.losses import head_losses


@MODELS.register_module()
class EdgeHead(BaseDecodeHead):
    """ASPP and a 1x1 convolution that gives one logit a pixel.

    Args:
        in_channels: Channels of the encoder's feature map that is read.
        channels: Channels of the ASPP.
        dilations: Dilations of the atrous branches in feature pixels.
        method: Binarization of the atrous branches, ``'fp'`` for none.
        binary_projection: Binarize the projection behind them too.
        dropout_ratio: Dropout before the last convolution.
        in_index: Which feature map of the encoder is read. Of several the deeper ones
            are resized to the first one's size, and all are joined in the channels.
        loss_decode: Config, or list of configs, of edge losses; the balanced
            cross-entropy when None.

    Shape:
        tuple of ``(N, I, h, w)`` to logits ``(N, 1, h, w)``, float32 at least.

    Examples:
        >>> EdgeHead(8, 4, dilations=(1,))((torch.zeros(2, 8, 3, 5),)).shape
        torch.Size([2, 1, 3, 5])
    """

    task = "edges"

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        dilations: Sequence[int] = (6, 12, 18),
        method: str | dict = "fp",
        binary_projection: bool = False,
        dropout_ratio: float = 0.1,
        in_index: int | Sequence[int] = -1,
        loss_decode: dict | list | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            channels,
            num_classes=1,
            threshold=0.5,  # unused: the metric has its own; mmseg warns without
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            input_transform=fusion(in_index),
            loss_decode=loss_decode or dict(type="BalancedEdgeLoss"),
        )
        self.aspp = ASPP(
            self.in_channels, channels, dilations, method, binary_projection
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        logits = self.cls_seg(self.aspp(self._transform_inputs(inputs)))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list
    ) -> dict[str, Tensor]:
        """Losses at the ground truth's resolution (named as mmseg calls it).

        Args:
            seg_logits: ``(N, 1, h, w)``.
            batch_data_samples: Samples with ``gt_edge_map`` ``(1, H, W)``: 1 edge, 0
                none, 255 unknown.
        """
        target = torch.stack([s.gt_edge_map.data for s in batch_data_samples])
        logits = upsample(seg_logits, (target.shape[2], target.shape[3]))
        return head_losses(self.loss_decode, logits, target)
