"""The part of a task model that is exported: encoder and head."""

from __future__ import annotations

from mmengine.model import BaseModel
from torch import Tensor, nn


class NetworkCore(nn.Module):
    """Encoder and head of a task model: normalised images to the head's output.

    Args:
        model: A task model.

    Shape:
        ``(N, 3, H, W)`` to the head's output, before any resize to the image.
    """

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, head_of(model)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def head_of(model: BaseModel) -> nn.Module:
    """The head: ``decode_head`` of mmseg's models, ``head`` of a classifier."""
    return model.decode_head if hasattr(model, "decode_head") else model.head


def normalisation(model: BaseModel) -> dict[str, list[float]]:
    """How images become inputs: ``mean`` and ``std`` of RGB of 0 to 255.

    Args:
        model: The task model.

    Returns:
        Three numbers each; empty for a model that takes images as they are.
    """
    prepare = model.data_preprocessor
    return {
        name: getattr(prepare, name).flatten().tolist()
        for name in ("mean", "std")
        if hasattr(prepare, name)
    }
