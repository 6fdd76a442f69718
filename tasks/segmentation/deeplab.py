"""DeepLab head for semantic segmentation."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor

from tasks.heads import ASPP, fusion
from tasks.heads.losses import head_losses
from tasks.segmentation.losses import own_losses


@MODELS.register_module()
class DeepLabHead(BaseDecodeHead):
    """ASPP and a 1x1 classifier, as an mmseg decode head.

    Args:
        in_channels: Channels of the feature map that is read, or of each of them.
        channels: Channels of the ASPP.
        num_classes: Number of classes.
        dilations: Dilations of the atrous branches in feature pixels.
        method: Binarization of the atrous branches, ``'fp'`` for none.
        binary_projection: Binarize the projection behind them too.
        dropout_ratio: Dropout before the classifier.
        in_index: Which feature map of the encoder is read. Of several the deeper ones
            are resized to the first one's size, and all are joined in the channels.
        loss_decode: mmseg loss config, or a list of them; labels 255 are ignored.
        align_corners: Passed to mmseg's resizing.

    Shape:
        tuple of ``(N, I, h, w)`` to logits ``(N, K, h, w)``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        num_classes: int,
        dilations: Sequence[int] = (6, 12, 18),
        method: str | dict = "fp",
        binary_projection: bool = False,
        dropout_ratio: float = 0.1,
        in_index: int | Sequence[int] = -1,
        loss_decode: dict | list | None = None,
        align_corners: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            input_transform=fusion(in_index),
            # mmseg's default divides by all pixels, the ignored ones included.
            loss_decode=own_losses(
                loss_decode or dict(type="CrossEntropyLoss", avg_non_ignore=True)
            ),
            align_corners=align_corners,
        )
        self.aspp = ASPP(
            self.in_channels, channels, dilations, method, binary_projection
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.cls_seg(self.aspp(self._transform_inputs(inputs)))

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list
    ) -> dict[str, Tensor]:
        """Losses at the labels' resolution.

        mmseg also logs the training accuracy of every batch, which costs 5 % of a step
        on a CPU; here it is left out.

        Args:
            seg_logits: ``(N, K, h, w)``.
            batch_data_samples: Samples with ``gt_sem_seg`` ``(1, H, W)``, 255 ignored.
        """
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
        logits = resize(
            seg_logits,
            size=labels.shape[1:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return head_losses(
            self.loss_decode, logits, labels, ignore_index=self.ignore_index
        )
