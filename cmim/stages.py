"""What the stages of an encoder are: the encoder says it, or one pass shows it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

# Where a task model keeps its encoder.
ENCODER = "backbone"
# Side of the first pass of an encoder that declares neither stages nor a size of its
# own: what public encoders are trained with.
SIDE = 224


@dataclass(frozen=True)
class Stage:
    """A module of an encoder whose output is a level of features.

    Attributes:
        name: Of the module, in the encoder or in the task model.
        channels: Channels of its output.
        stride: Input pixels per feature pixel, along one side.
        layout: ``'maps'`` for outputs ``(N, C, H, W)``, ``'tokens'`` for ``(N, L, C)``,
            ``'channels_last'`` for ``(N, H, W, C)``.
    """

    name: str
    channels: int
    stride: int
    layout: str = "maps"


def stage_names(model: nn.Module) -> list[str]:
    """Names of the encoder's stages that run, shallow to deep.

    Stages behind the last one that the encoder returns never run. An encoder names its
    stages by ``stages``, a tuple of :class:`Stage`, or by ``res_layers``, as mmseg's
    ResNets do. For another one the modules count that give the feature maps it returns,
    as one pass shows.

    Args:
        model: A task model.

    Examples:
        >>> model = nn.ModuleDict(dict(backbone=nn.Module()))
        >>> model.backbone.stages = tuple(Stage(f"part{k}", 8, 2**k) for k in range(3))
        >>> model.backbone.out_indices = (0, 1)
        >>> stage_names(model)
        ['backbone.part0', 'backbone.part1']
    """
    encoder = getattr(model, ENCODER, None)
    if encoder is None:
        return []
    names = _declared_names(encoder)
    if names is None:
        names = list(_returned(encoder, _seen_once(encoder)))
    return [f"{ENCODER}.{name}" for name in names]


def stages_of(model: nn.Module) -> list[Stage]:
    """The encoder's stages that run, shallow to deep, named as in the task model.

    Args:
        model: A task model.
    """
    encoder, names = getattr(model, ENCODER, None), stage_names(model)
    if encoder is None or not names:
        return []
    known = {f"{ENCODER}.{stage.name}": stage for stage in _declared(encoder)}
    if not known:
        seen = _seen_once(encoder)[0]
        pixels = probe_image(encoder)[0, 0].numel()
        known = {
            name: _measured(seen[name.removeprefix(f"{ENCODER}.")], pixels)
            for name in names
        }
    return [replace(known[name], name=name) for name in names]


def idle_stages(model: nn.Module) -> list[str]:
    """Names of the stages behind the last one that the encoder returns."""
    encoder = getattr(model, ENCODER, None)
    every = [stage.name for stage in _declared(encoder)] or _res_layers(encoder)
    running = _declared_names(encoder) or []
    return [f"{ENCODER}.{name}" for name in every if name not in running]


def part_of(name: str, stages: Sequence[str]) -> str:
    """The stage that a parameter lies in, or the first part of its name.

    Args:
        name: Of a parameter or module.
        stages: Names of stages, from the same module on.

    Examples:
        >>> part_of("blocks.0.conv.weight", ["blocks.0", "blocks.1"])
        'blocks.0'
        >>> part_of("stem.conv.weight", ["blocks.0"])
        'stem'
    """
    inside = [stage for stage in stages if name.startswith(f"{stage}.")]
    return inside[0] if inside else name.split(".")[0]


def input_bands(model: nn.Module) -> int:
    """Bands of the pictures that a task model reads.

    They are the encoder's ``in_channels`` where that is an argument of its constructor:
    in other encoders the name may be a counter of what builds them, as in mmseg's
    MobileNetV2. Otherwise those of the first convolution, in the order of the modules.

    Args:
        model: A task model, or its encoder.

    Examples:
        >>> input_bands(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 1, 1)))
        4
    """
    encoder = getattr(model, ENCODER, model)
    declared = getattr(encoder, "in_channels", None)
    arguments = inspect.signature(type(encoder).__init__).parameters
    if isinstance(declared, int) and "in_channels" in arguments:
        return declared
    first = next((m for m in encoder.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def probe_image(model: nn.Module) -> Tensor:
    """The smallest picture of zeros whose deepest features have two rows and columns.

    Of an encoder that does not declare its strides a picture of the size it names
    (``img_size``), or of 224 pixels.

    Args:
        model: A task model, or its encoder.

    Returns:
        ``(1, C, H, W)``, where and of the kind that the encoder's weights are.
    """
    encoder = getattr(model, ENCODER, model)
    stages = _declared(encoder)
    size = getattr(encoder, "img_size", SIDE)
    if stages:
        size = 2 * max(stage.stride for stage in stages)
    height, width = (size, size) if isinstance(size, int) else size
    picture = torch.zeros(1, input_bands(encoder), height, width)
    return picture.to(next(encoder.parameters(), picture))


def _declared(encoder: object) -> tuple[Stage, ...]:
    found = getattr(encoder, "stages", ())
    stages = isinstance(found, tuple) and all(isinstance(s, Stage) for s in found)
    return found if stages else ()


def _res_layers(encoder: object) -> list[str]:
    return list(getattr(encoder, "res_layers", ()))


def _declared_names(encoder: object) -> list[str] | None:
    names = [stage.name for stage in _declared(encoder)] or _res_layers(encoder)
    if not names:
        return None
    returned = getattr(encoder, "out_indices", None)
    return names[: max(returned) + 1] if returned else names


@torch.no_grad()
def _seen_once(encoder: nn.Module) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
    """Outputs of all modules in one pass, and of the encoder."""
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module: nn.Module, args: tuple, output: object) -> None:
            if isinstance(output, Tensor):
                seen[name] = output

        return hook

    handles = [
        module.register_forward_hook(keep(name))
        for name, module in encoder.named_modules()
        if name
    ]
    training = {module: module.training for module in encoder.modules()}
    encoder.eval()
    # Noise, since many modules give equal values for zeros; drawn apart, so that a
    # run's other random numbers stay what they are.
    picture = probe_image(encoder)
    noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    try:
        features = encoder(noise.to(picture))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return seen, features if isinstance(features, (tuple, list)) else ()


def _returned(
    encoder: nn.Module, outputs: tuple[dict[str, Tensor], Sequence[Tensor]]
) -> list[str]:
    """For each level of features the outermost module that gave it."""
    seen, features = outputs
    order = [name for name, _ in encoder.named_modules()]
    names = []
    for feature in features:
        makers = [name for name in seen if seen[name] is feature]
        makers = makers or [name for name in seen if _as_tokens(seen[name], feature)]
        names += sorted(makers, key=lambda n: (n.count("."), order.index(n)))[:1]
    return names


def _as_tokens(output: Tensor, feature: Tensor) -> bool:
    """Whether an output has the values of a feature map as tokens.

    A class token in front of them, which the map has not, is left out.
    """
    if output.dim() != 3 or feature.dim() != 4:
        return False
    tokens = feature.flatten(2).mT
    places = output.shape[1] - tokens.shape[1]
    return (
        places in (0, 1)
        and output.shape[2] == tokens.shape[2]
        and torch.equal(output[:, places:], tokens)
    )


def _measured(output: Tensor, pixels: int) -> Stage:
    """A stage as its output for a picture of so many pixels shows it."""
    maps = output.dim() == 4
    places = output[0, 0].numel() if maps else output.shape[1]
    strides = [math.sqrt(pixels / places)]
    if not maps and places > 1:
        # The first token may belong to no place.
        strides.append(math.sqrt(pixels / (places - 1)))
    whole = min(strides, key=lambda side: abs(math.remainder(side, 1.0)))
    channels = output.shape[1 if maps else -1]
    return Stage("", channels, round(whole), "maps" if maps else "tokens")
