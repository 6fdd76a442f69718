r"""A packed network as ONNX: signs in float, for engines without binary operators.

Each product of signs is an ordinary ``Conv`` of -1, +1 and, outside of the image, 0.
Its sums are integers below ``2**24``, which float32 holds exactly, in any order; scales
come after it. Bits are not packed: the file is as large as that of a full-precision
network.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.deploy.binary_layer import BinaryLayer, ExportError
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.seal import EMPTY, KEY, check_seal, seal
from cmim.functional.rotation import sample_mean
from cmim.identity import check_identity
from cmim.whole_output import whole_output

OPSET = 18


class FloatConv(nn.Module):
    """A packed layer in float32, with ordinary operators only.

    Args:
        layer: The layer to compute.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, H', W')``.

    Examples:
        >>> import numpy as np
        >>> from cmim.deploy.binary_layer import SignStep, SignTerm
        >>> step = SignStep(np.float32([0.0]), 0.0, 1.0)
        >>> term = SignTerm(np.float32([0.5]), np.int8([1, -1, 1]).reshape(1, 3, 1, 1))
        >>> layer = BinaryLayer("conv", (step,), (term,), (1, 1), (0, 0), (1, 1))
        >>> x = torch.tensor([0.0, -2.0, 3.0]).view(1, 3, 1, 1)  # bits 1, 0, 1
        >>> FloatConv(layer)(x).item()  # 0.5 (1 + 1)
        1.0
    """

    def __init__(self, layer: BinaryLayer) -> None:
        super().__init__()
        self.layer = layer
        for k, step in enumerate(layer.steps):
            self.register_buffer(
                f"threshold{k}", torch.from_numpy(step.threshold).view(-1, 1, 1)
            )
        for k, term in enumerate(layer.terms):
            self.register_buffer(f"signs{k}", torch.from_numpy(term.filters).float())
            self.register_buffer(
                f"scale{k}", torch.from_numpy(term.scale).double().view(-1, 1, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        layer, out = self.layer, None
        if layer.centred:
            x = x - sample_mean(x)
        for k, step in enumerate(layer.steps):
            above = x >= self.get_buffer(f"threshold{k}")
            # Codes are bits where that saves a term, and signs otherwise.
            bits = step.low == 0
            codes = torch.where(above, 1.0, 0.0 if bits else -1.0)
            height = step.high if bits else step.half
            for t in range(len(layer.terms)):
                scale = self.get_buffer(f"scale{t}")
                weight = self.get_buffer(f"signs{t}")
                part = self._convolve(codes, weight) * (height * scale).float()
                if step.middle and not bits:
                    one = x.new_ones(1, 1, *x.shape[2:])
                    inside = self._convolve(one, weight.sum(1, keepdim=True))
                    part = part + inside * (step.middle * scale).float()
                out = part if out is None else out + part
        return cast(Tensor, out)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        layer = self.layer
        return F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)


def float_network(core: nn.Module) -> nn.Module:
    """A copy of a packed network with a :class:`FloatConv` for every packed layer."""
    core = copy.deepcopy(core).eval()
    for name, module in list(core.named_modules()):
        if isinstance(module, PackedConv):
            parent, _, child = name.rpartition(".")
            setattr(core.get_submodule(parent), child, FloatConv(module.layer))
    return core


def save_onnx(
    core: nn.Module,
    example: Tensor,
    path: str | Path,
    normalisation: dict[str, list[float]] | None = None,
    identity: dict[str, Any] | None = None,
) -> None:
    """Write a packed network as ONNX, in one file, with a digest (``cmim.sha256``).

    Args:
        core: Made by :func:`cmim.deploy.packed_conv.pack_network`.
        example: An input of it; its shape is the model's.
        path: The ``.onnx`` file.
        normalisation: ``mean`` and ``std`` of RGB of 0 to 255, which the file's
            metadata repeat as ``cmim.mean`` and ``cmim.std``.
        identity: :func:`cmim.identity.identity_of` its config, kept as JSON in
            ``cmim.identity``.
    """
    # The exporter reports its progress and its optional parts.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            float_network(core),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            verbose=False,
        )
    assert program is not None
    # The exporter notes in each node the lines of code, and so the folders, of the
    # machine that it ran on.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    for name, values in (normalisation or {}).items():
        text = " ".join(f"{value:g}" for value in values)
        program.model.metadata_props[f"cmim.{name}"] = text
    if identity is not None:
        program.model.metadata_props["cmim.identity"] = json.dumps(identity)
    program.model.metadata_props[f"cmim.{KEY}"] = EMPTY
    with whole_output(path) as place:
        program.save(str(place), external_data=False)
        seal(place)


def check_onnx(path: str | Path, identity: dict[str, Any]) -> None:
    """Refuse an ``.onnx`` that is damaged or of another task.

    Args:
        path: The file.
        identity: :func:`cmim.identity.identity_of` the config in use.

    Raises:
        ExportError: It is not as it was exported, or says that it answers other things.
    """
    import onnx

    check_seal(path)
    entries = onnx.load(str(path), load_external_data=False).metadata_props
    saved = {entry.key: entry.value for entry in entries}.get("cmim.identity")
    try:
        check_identity(identity, None if saved is None else json.loads(saved), path)
    except ValueError as error:
        raise ExportError(str(error)) from None
