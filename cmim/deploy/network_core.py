"""The part of a task model that is exported: encoder and heads."""

from __future__ import annotations

from mmengine.model import BaseModel
from torch import Tensor, nn

from cmim.deploy.binary_layer import ExportError
from cmim.task_model import describe

# In front of a task in the name of its output.
OUTPUT = "cmim."


class NetworkCore(nn.Module):
    """Encoder and heads of a task model: normalised images to what the heads give.

    Args:
        model: A task model.

    Raises:
        ExportError: A cascade of heads.

    Shape:
        ``(N, 3, H, W)`` to the head's output, before any resize to the image; of a
        joint model to a tuple, in the order of its heads.
    """

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        found = describe(model)
        for head in found.heads.values():
            if head.place.rpartition(".")[2].isdigit():
                raise ExportError(
                    f"{head.place} is the last of a cascade, whose heads read one "
                    "another's answers, and cannot be exported: export a model with "
                    "one decode_head"
                )
        self.backbone = found.encoder
        self.bottleneck = found.bottleneck
        if found.joint:
            parts = {task: head.part for task, head in found.heads.items()}
            self.heads = nn.ModuleDict(parts)
        else:
            (self.head,) = (head.part for head in found.heads.values())

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        features = self.backbone(x)
        if self.bottleneck is not None:
            features, _ = self.bottleneck(features)
        if hasattr(self, "heads"):
            return tuple(head(features) for head in self.heads.values())
        return self.head(features)
