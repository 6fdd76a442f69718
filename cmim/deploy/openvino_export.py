"""A trained task network as an OpenVINO model with packed binary convolutions."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from mmengine.model import BaseModel
from openvino.frontend.pytorch import ConversionExtension, ModuleExtension
from torch import Tensor, nn

from cmim import task_model
from cmim.deploy.network_core import OUTPUT
from cmim.deploy.openvino_graph import add_layer
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.seal import prepare_seal, seal
from cmim.whole_output import whole_output


def convert_packed(core: nn.Module, example: Tensor) -> ov.Model:
    """Convert a network whose binary convolutions are :class:`PackedConv`."""
    extensions: list[Any] = []
    for name, module in core.named_modules():
        if isinstance(module, PackedConv):
            extensions += _extensions(f"cmim.{name}", module)
    with warnings.catch_warnings():
        # Sizes become constants, which is what is wanted at one input size.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        model = ov.convert_model(
            core, example_input=example, extension=extensions or None
        )
    model.reshape(list(example.shape))
    return model


def save_model(model: ov.Model, path: str | Path) -> None:
    """Write ``.xml`` and ``.bin`` with a digest, full precision as float32."""
    prepare_seal(model)
    with whole_output(path) as place:
        ov.save_model(model, str(place), compress_to_fp16=False)
        seal(place)


def _extensions(operator: str, module: PackedConv) -> list[Any]:
    def build(context: Any) -> list:
        width = None if module.size is None else module.size[1]
        return [add_layer(context.get_input(0), module.layer, width)]

    return [
        ModuleExtension(module, operator),
        ConversionExtension(operator, build),
    ]


def describe(
    converted: ov.Model, model: BaseModel, identity: dict[str, Any] | None = None
) -> None:
    """Note in the exported model how its images are normalised: RGB of 0 to 255.

    Args:
        converted: Gets ``cmim/mean`` and ``cmim/std``, a number a band; the outputs
            of a joint model the names ``cmim.TASK``.
        model: The task model it was made of.
        identity: :func:`cmim.identity.identity_of` its config, kept as JSON in
            ``cmim/identity``.
    """
    if identity is not None:
        converted.set_rt_info(json.dumps(identity), ["cmim", "identity"])
    found = task_model.describe(model)
    for name, values in found.normalisation.items():
        converted.set_rt_info(" ".join(f"{v:g}" for v in values), ["cmim", name])
    if found.joint:
        for output, task in zip(converted.outputs, found.heads, strict=True):
            output.get_tensor().set_names({f"{OUTPUT}{task}"})
