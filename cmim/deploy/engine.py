"""What an exported network is in a task model, whichever engine runs it."""

from __future__ import annotations

from abc import abstractmethod
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.deploy.binary_layer import ExportError
from cmim.identity import check_identity
from cmim.task_model import describe


class ExportedNetwork(nn.Module):
    """A file of fixed input shape, called with tensors.

    Args:
        path: The file, for messages.
        identity: What the file says of itself, see :mod:`cmim.identity`.
        shape: Of its input ``(N, C, H, W)``.
        outputs: Tasks of the outputs; a network with one head has one without a name.
        channels: Of each output.
    """

    def __init__(
        self,
        path: str,
        identity: dict[str, Any] | None,
        shape: tuple[int, ...],
        outputs: list[str],
        channels: list[int],
    ) -> None:
        super().__init__()
        self.path, self.identity, self.shape = path, identity, shape
        self.outputs, self.channels = outputs, channels

    @abstractmethod
    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The output of each head for as many images as the file takes."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The output of each head for normalised images ``(N, C, H, W)``, any N."""
        batch, *image = self.shape
        if list(x.shape[1:]) != image:
            given, wanted = ("x".join(map(str, s)) for s in (x.shape[2:], image[1:]))
            raise ExportError(
                f"{self.path} was exported for images of {wanted} pixels, and these "
                f"have {given}: export it with --size {x.shape[2]} {x.shape[3]}"
            )
        parts: list[list[Tensor]] = [[] for _ in self.outputs]
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            full = torch.cat([part, part[-1:].expand(batch - len(part), -1, -1, -1)])
            found = self.run(full.float().cpu().numpy())
            for kept, output in zip(parts, found, strict=True):
                kept.append(torch.from_numpy(output.copy())[: len(part)])
        return tuple(torch.cat(kept).to(x.device) for kept in parts)


def task_model_of(
    engine: ExportedNetwork,
    model_config: dict[str, Any],
    identity: dict[str, Any] | None,
) -> BaseModel:
    """A task model whose network is an exported one; its predictions are made of it.

    Args:
        engine: The network.
        model_config: Config of the task model.
        identity: :func:`cmim.identity.identity_of` the config in use; what the file
            says of itself must be the same, see :func:`check_identity`.

    Raises:
        ExportError: The file is one of other tasks.
    """
    path = engine.path
    if identity is not None:
        try:
            check_identity(identity, engine.identity, path)
        except ValueError as error:
            raise ExportError(str(error)) from None
    model = MODELS.build(model_config).eval().requires_grad_(False)
    found = describe(model)
    # The output of a model with one head is exported without a name.
    named = list(found.heads) if found.joint else [""]
    if engine.outputs != named:
        given, wanted = (", ".join(n) or "one task" for n in (engine.outputs, named))
        raise ExportError(
            f"{path} was exported with heads for {given}, and this config has {wanted}:"
            " use the config it was exported with"
        )
    for head, channels in zip(found.heads.values(), engine.channels, strict=True):
        classes = getattr(head.part, "num_classes", channels)
        if channels != classes:
            raise ExportError(
                f"{path} was exported with {channels} classes, and this config has "
                f"{classes}: use the config it was exported with"
            )
    return with_network(model, engine)


def with_network(model: BaseModel, network: nn.Module) -> BaseModel:
    """A task model with another network in place of its encoder and heads.

    Args:
        model: The task model, changed.
        network: Normalised images to a tuple of each head's output. They stand in for
            feature maps: each head passes on its own one.
    """
    model.backbone = network
    if hasattr(model, "bottleneck"):
        model.bottleneck = None
    for place, head in enumerate(describe(model).heads.values()):
        head.part.forward = itemgetter(place)
    return model
