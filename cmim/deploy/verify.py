"""Compares each exported layer with the trained one; both must be equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import torch
from torch import Tensor, nn

from cmim.cpu_flags import said_limit
from cmim.deploy.binary_layer import (
    BinaryLayer,
    ExportError,
    SignStep,
    SignTerm,
)
from cmim.deploy.formats.format import EngineCheckedLayer
from cmim.deploy.layer_calls import layer_calls
from cmim.deploy.openvino_graph import add_layer
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.shared_core import FLOAT32, shared_core


def compile_layer(
    layer: BinaryLayer, shape: tuple[int, ...], options: dict[str, Any] | None = None
) -> ov.CompiledModel:
    """A network of this layer alone, with further options of the engine.

    Raises:
        ExportError: The engine has no such convolution on this processor.
    """
    x = ops.parameter(list(shape), ov.Type.f32)
    result = ops.result(add_layer(x.output(0), layer, shape[3]))
    options = {**FLOAT32, **(options or {})}
    try:
        return shared_core().compile_model(ov.Model([result], [x]), "CPU", options)
    except RuntimeError as error:
        raise ExportError(
            f"{layer.name}: OpenVINO compiles no such binary convolution on this "
            f"processor{said_limit()}: {str(error).strip().splitlines()[-1]}"
        ) from error


def integer_parts(layer: BinaryLayer) -> list[BinaryLayer]:
    """Each product of a step and a term alone, with outputs that floats hold exactly.

    Scales become 1 and levels small numbers of the same kind (symmetric, one of them 0,
    or neither), so that the graph is the same and its sums are exact.
    """
    ones = np.ones_like(layer.terms[0].scale)
    return [
        replace(
            layer,
            steps=(replace(step, low=low, high=high),),
            terms=(SignTerm(ones, term.signs),),
        )
        for step in layer.steps
        for low, high in [_plain_levels(step)]
        for term in layer.terms
    ]


def _plain_levels(step: SignStep) -> tuple[float, float]:
    if step.middle == 0:
        return -1.0, 1.0
    if step.low == 0 or step.high == 0:
        return (0.0, 1.0) if step.low == 0 else (-1.0, 0.0)
    return -1.0, 3.0


def near_thresholds(step: SignStep, x: Tensor, seed: int = 0) -> Tensor:
    """Activations of which many lie at the threshold or the next float beside it."""
    generator = torch.Generator().manual_seed(seed)
    at = torch.from_numpy(step.threshold).view(1, -1, 1, 1).expand_as(x)
    tiny = torch.full_like(at, torch.finfo(torch.float32).tiny)
    down = torch.where(at.abs() <= tiny, -2 * tiny, at.nextafter(at - 1))
    up = torch.where(at.abs() <= tiny, 2 * tiny, at.nextafter(at + 1))
    choice = torch.randint(6, x.shape, generator=generator)
    for k, values in enumerate((at, down, up)):
        x = torch.where(choice == k, values, x)
    return x


@torch.no_grad()
def verify_layers(core: nn.Module, example: Tensor) -> list[EngineCheckedLayer]:
    """Each packed layer in the engine against integers, from equal inputs.

    Args:
        core: A network with packed layers.
        example: An input of it, which gives the layers' real activations.

    Returns:
        Rows ``layer``, ``shape``, ``values``; ``wrong``, the number of outputs that
        are not equal, scales left out, on the real activations and on ones at the
        thresholds; ``scaled_difference``, the largest relative one with scales.
    """
    layers = {n: m for n, m in core.named_modules() if isinstance(m, PackedConv)}
    calls, _ = layer_calls(core, example)
    return [_verify(name, layers[name].layer, x) for name, (x, _) in calls.items()]


def _verify(name: str, layer: BinaryLayer, x: Tensor) -> EngineCheckedLayer:
    wrong = values = 0
    for part in integer_parts(layer):
        engine, exact = compile_layer(part, tuple(x.shape)), PackedConv(part)
        # A mean is rounded, so that engines may differ next to it.
        near = [] if layer.centred else [near_thresholds(part.steps[0], x)]
        for given in (x, *near):
            ours = torch.from_numpy(engine(given.numpy())[0])
            theirs = exact(given)
            wrong += int((ours != theirs).sum())
            values += theirs.numel()
    scaled = torch.from_numpy(compile_layer(layer, tuple(x.shape))(x.numpy())[0])
    expected = PackedConv(layer)(x)
    difference = (scaled - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
    o, i, kh, kw = layer.shape
    return EngineCheckedLayer(
        layer=name,
        shape=f"{i} to {o}, {kh}x{kw}",
        products=layer.products,
        values=values,
        wrong=wrong,
        scaled_difference=float(difference),
    )
