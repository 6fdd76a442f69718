"""Head for surface normals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from tasks.heads import ASPP, fusion
from tasks.heads.aspp import upsample
from tasks.heads.losses import head_losses


@MODELS.register_module()
class NormalHead(BaseDecodeHead):
    """ASPP and a 1x1 convolution that gives unit vectors.

    The bias starts at a wall seen from the front, (0, 0, -1): training starts from a
    sensible constant map. Vectors are resized and then made unit length again.

    Args:
        in_channels: Channels of the feature map that is read, or of each of them.
        channels: Channels of the ASPP.
        dilations: Dilations of the atrous branches in feature pixels.
        method: Binarization of the atrous branches, ``'fp'`` for none.
        binary_projection: Binarize the projection behind them too.
        dropout_ratio: Dropout before the last convolution.
        in_index: Which feature map of the encoder is read. Of several the deeper ones
            are resized to the first one's size, and all are joined in the channels.
        loss_decode: Config, or list of configs, of losses on vectors; the cosine
            distance when None.

    Shape:
        tuple of ``(N, I, h, w)`` to unit vectors ``(N, 3, h, w)``, float32 at least.

    Examples:
        >>> vectors = NormalHead(8, 4, dilations=(1,))((torch.zeros(2, 8, 3, 5),))
        >>> vectors.shape, bool(vectors.norm(dim=1).sub(1).abs().max() < 1e-6)
        (torch.Size([2, 3, 3, 5]), True)
    """

    task = "normals"

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
            num_classes=3,
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            input_transform=fusion(in_index),
            loss_decode=loss_decode or dict(type="NormalCosineLoss"),
        )
        self.aspp = ASPP(
            self.in_channels, channels, dilations, method, binary_projection
        )

    def init_weights(self) -> None:
        super().init_weights()
        with torch.no_grad():
            self.conv_seg.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        vectors = self.cls_seg(self.aspp(self._transform_inputs(inputs)))
        # float32 also under autocast: bfloat16 would turn vectors by up to 0.2 degrees.
        dtype = torch.promote_types(vectors.dtype, torch.float32)
        return F.normalize(vectors.to(dtype), dim=1, eps=1e-6)

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list
    ) -> dict[str, Tensor]:
        """Losses at the ground truth's resolution (named as mmseg calls it).

        Args:
            seg_logits: Predicted vectors ``(N, 3, h, w)``.
            batch_data_samples: Samples with ``gt_normal_map`` ``(3, H, W)``, zero where
                unknown.
        """
        target = torch.stack([s.gt_normal_map.data for s in batch_data_samples])
        vectors = upsample(seg_logits, (target.shape[2], target.shape[3]))
        return head_losses(self.loss_decode, vectors, target)
