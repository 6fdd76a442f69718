"""A trained task network as an OpenVINO model with packed binary convolutions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from mmengine.model import BaseModel
from openvino.frontend.pytorch import ConversionExtension, ModuleExtension
from torch import Tensor, nn

from cmim.deploy.openvino_graph import add_layer
from cmim.deploy.packed_conv import PackedConv, pack_network


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
    """The head of a task model: ``decode_head`` of mmseg's, ``head`` of a classifier's."""
    return model.decode_head if hasattr(model, "decode_head") else model.head


def to_openvino(
    model: BaseModel, size: tuple[int, int], batch: int = 1
) -> tuple[ov.Model, list[str]]:
    """Convert a task model.

    Args:
        model: With trained weights; a full-precision network is converted too.
        size: Height and width of the input in pixels.
        batch: Images at a time.

    Returns:
        The OpenVINO model and the names of its packed layers.

    Raises:
        ExportError: A layer that cannot be exported exactly, by name.
    """
    example = torch.zeros(batch, 3, *size)
    core, names = pack_network(NetworkCore(model).cpu().float(), example)
    with torch.no_grad():
        core(example)  # so that packed layers know their sizes
    converted = convert_packed(core, example)
    for name, value in _preprocessing(model).items():
        converted.set_rt_info(value, ["cmim", name])
    return converted, names


def convert_packed(core: nn.Module, example: Tensor) -> ov.Model:
    """Convert a network whose binary convolutions are :class:`PackedConv`."""
    extensions: list[Any] = []
    for name, module in core.named_modules():
        if isinstance(module, PackedConv):
            extensions += _extensions(f"cmim.{name}", module)
    with warnings.catch_warnings():
        # Sizes become constants, which is what is wanted at one input size.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        model = ov.convert_model(core, example_input=example, extension=extensions or None)
    model.reshape(list(example.shape))
    return model


def save_model(model: ov.Model, path: str | Path) -> None:
    """Write ``.xml`` and ``.bin``, full precision as float32."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, str(path), compress_to_fp16=False)


def _extensions(operator: str, module: PackedConv) -> list[Any]:
    def build(context: Any) -> list:
        width = None if module.size is None else module.size[1]
        return [add_layer(context.get_input(0), module.layer, width)]

    return [
        ModuleExtension(module, operator),
        ConversionExtension(operator, build),
    ]


def _preprocessing(model: BaseModel) -> dict[str, str]:
    """What an image needs before it goes in: RGB values of 0 to 255, normalised."""
    prepare = model.data_preprocessor
    return {
        name: " ".join(f"{v:g}" for v in getattr(prepare, name).flatten().tolist())
        for name in ("mean", "std")
        if hasattr(prepare, name)
    }
