"""Linear classifier on pooled or flattened features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class LinearHead(BaseModule):
    """Global average pooling, dropout and a full-precision linear layer ``fc``.

    Args:
        in_channels: Channels of the feature map that is read; without pooling times
            its height and width.
        num_classes: Number of classes K.
        dropout_ratio: Dropout of the pooled features, in [0, 1).
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        in_index: Which feature map of the encoder is read.
        pool: Average over all places, so that any resolution fits. Without it the
            feature map is flattened, as VGG's is, and fits one resolution only.
        init_cfg: mmengine initialisation; torch's own when None.

    Shape:
        tuple of ``(N, I, h, w)``, any resolution, to logits ``(N, K)``, in float32 at
        least (also under autocast).

    Raises:
        ValueError: A size that is not positive or a share outside [0, 1); in the
            forward pass features of another number of channels.

    Examples:
        >>> head = LinearHead(4, num_classes=10)
        >>> head((torch.zeros(2, 4, 3, 5),)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dropout_ratio: float = 0.0,
        label_smoothing: float = 0.0,
        in_index: int = -1,
        pool: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value in (("in_channels", in_channels), ("num_classes", num_classes)):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        for name, share in (
            ("dropout_ratio", dropout_ratio),
            ("label_smoothing", label_smoothing),
        ):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be in [0, 1), got {share}")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.in_index = in_index
        self.pool = pool
        self.dropout = nn.Dropout(dropout_ratio)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        feature = inputs[self.in_index]
        values = feature.mean(dim=(2, 3)) if self.pool else feature.flatten(1)
        if values.shape[1] != self.fc.in_features:
            raise ValueError(
                f"the encoder gives {values.shape[1]} values an image and the head "
                f"expects {self.fc.in_features}; set "
                f"model.head.in_channels={values.shape[1]}"
            )
        logits = self.fc(self.dropout(values))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def loss(self, inputs: tuple[Tensor, ...], data_samples: list) -> dict[str, Tensor]:
        """Cross-entropy in nats.

        Args:
            inputs: Feature maps.
            data_samples: Samples with ``gt_label``, 0 to K - 1.

        Raises:
            ValueError: A label is out of range.
        """
        labels = [sample.gt_label for sample in data_samples]
        wrong = [k for k in labels if not 0 <= k < self.num_classes]
        if wrong:
            raise ValueError(
                f"label {wrong[0]} is out of range for num_classes={self.num_classes}; "
                "set model.head.num_classes to the number of class folders"
            )
        logits = self(inputs)
        # From pageable memory this does not wait for the device.
        target = torch.tensor(labels).to(logits.device, non_blocking=True)
        loss = F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)
        return dict(loss_ce=loss)
