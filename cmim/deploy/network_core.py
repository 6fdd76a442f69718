"""The part of a task model that is exported: encoder and heads."""

from __future__ import annotations

from mmengine.model import BaseModel
from torch import Tensor, nn

# In front of a task in the name of its output.
OUTPUT = "cmim."


class NetworkCore(nn.Module):
    """Encoder and heads of a task model: normalised images to what the heads give.

    Args:
        model: A task model.

    Shape:
        ``(N, 3, H, W)`` to the head's output, before any resize to the image; of a
        joint model to a tuple, in the order of its heads.
    """

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.bottleneck = getattr(model, "bottleneck", None)
        if is_joint(model):
            self.heads = nn.ModuleDict(heads_of(model))
        else:
            self.head = heads_of(model)[""]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        features = self.backbone(x)
        if self.bottleneck is not None:
            features, _ = self.bottleneck(features)
        if hasattr(self, "heads"):
            return tuple(head(features) for head in self.heads.values())
        return self.head(features)


def is_joint(model: BaseModel) -> bool:
    """Whether a model has a head for each of several tasks, by name."""
    return hasattr(model, "heads")


def heads_of(model: BaseModel) -> dict[str, nn.Module]:
    """Heads by task; of a model with one head that one, without a name.

    Args:
        model: One of mmseg's (``decode_head``), a classifier (``head``) or a joint
            model (``heads``).
    """
    if is_joint(model):
        return dict(model.heads.items())
    return {"": model.decode_head if hasattr(model, "decode_head") else model.head}


def normalisation(model: BaseModel) -> dict[str, list[float]]:
    """How images become inputs: ``mean`` and ``std`` of RGB of 0 to 255.

    Args:
        model: The task model.

    Returns:
        A number for each band; empty for a model that takes images as they are.
    """
    prepare = model.data_preprocessor
    return {
        name: getattr(prepare, name).flatten().tolist()
        for name in ("mean", "std")
        if hasattr(prepare, name)
    }
