"""Depth head in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from tasks.heads import ASPP, fusion
from tasks.heads.aspp import upsample
from tasks.heads.losses import head_losses


@MODELS.register_module()
class DepthHead(BaseDecodeHead):
    r"""ASPP and a 1x1 convolution that gives log-depth; metres outside.

    .. math:: d = \exp(\mathrm{clip}(x, \log d_{min}, \log d_{max}))

    so predictions are positive and inside ``depth_range``. The bias starts at the
    typical depth, so that training starts from a sensible constant map.

    Args:
        in_channels: Channels of the feature map that is read, or of each of them.
        channels: Channels of the ASPP.
        dilations: Dilations of the atrous branches in feature pixels.
        method: Binarization of the atrous branches, ``'fp'`` for none.
        binary_projection: Binarize the projection behind them too.
        depth_range: Smallest and largest prediction in metres.
        typical_depth: Initial prediction in metres.
        dropout_ratio: Dropout before the last convolution.
        in_index: Which feature map of the encoder is read. Of several the deeper ones
            are resized to the first one's size, and all are joined in the channels.
        loss_decode: Config, or list of configs, of depth losses.

    Shape:
        tuple of ``(N, I, h, w)`` to metres ``(N, 1, h, w)``.

    Raises:
        ValueError: ``depth_range`` is not positive and increasing.

    References:
        Eigen et al., Depth Map Prediction from a Single Image using a Multi-Scale Deep
        Network, NeurIPS 2014 (log-depth). https://arxiv.org/abs/1406.2283
    """

    task = "depth"

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        dilations: Sequence[int] = (6, 12, 18),
        method: str | dict = "fp",
        binary_projection: bool = False,
        depth_range: tuple[float, float] = (0.1, 10.0),
        typical_depth: float = 2.5,
        dropout_ratio: float = 0.1,
        in_index: int | Sequence[int] = -1,
        loss_decode: dict | list | None = None,
    ) -> None:
        if not 0 < depth_range[0] < depth_range[1]:
            raise ValueError(
                f"depth_range must be 0 < near < far in metres, got {depth_range}"
            )
        super().__init__(
            in_channels,
            channels,
            num_classes=1,
            threshold=0.0,  # unused by depth; mmseg warns when it is not set
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            input_transform=fusion(in_index),
            loss_decode=loss_decode or dict(type="DepthL1Loss"),
        )
        self.log_range = (math.log(depth_range[0]), math.log(depth_range[1]))
        self.typical_depth = typical_depth
        self.aspp = ASPP(
            self.in_channels, channels, dilations, method, binary_projection
        )

    def init_weights(self) -> None:
        super().init_weights()
        nn.init.constant_(self.conv_seg.bias, math.log(self.typical_depth))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        log_depth = self.cls_seg(self.aspp(self._transform_inputs(inputs)))
        # float32 also under autocast: bfloat16 would quantise depth to steps of 0.4 %.
        return log_depth.float().clamp(*self.log_range).exp()

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list
    ) -> dict[str, Tensor]:
        """Losses at the ground truth's resolution (named as mmseg calls it).

        Args:
            seg_logits: Predicted metres ``(N, 1, h, w)``.
            batch_data_samples: Samples with ``gt_depth_map`` ``(1, H, W)`` in metres, 0
                where unknown.
        """
        target = torch.stack([s.gt_depth_map.data for s in batch_data_samples])
        depth = upsample(seg_logits, (target.shape[2], target.shape[3]))
        return head_losses(self.loss_decode, depth, target)
