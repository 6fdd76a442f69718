"""A network as units whose times add up: its stem, each block, each head."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cmim.deploy.network_core import NetworkCore
from cmim.encoders.encoder import BinaryEncoder

Shape = tuple[int, ...]
# In front of a task in the names of units that are heads.
HEAD = "head."
STEM = "stem"


@dataclass(frozen=True)
class Unit:
    """A part of a network whose time is known by itself.

    Attributes:
        name: In the network.
        key: What it is made of and what it sees; units of one key take the same time.
        shapes: Of its inputs, one image each.
        module: Takes what the network gives it.
    """

    name: str
    key: str
    shapes: tuple[Shape, ...]
    module: nn.Module

    @property
    def values(self) -> int:
        """Numbers in all of its inputs."""
        return sum(torch.Size(shape).numel() for shape in self.shapes)


class _Stem(nn.Module):
    """Everything in front of the first stage of an encoder, as a module."""

    def __init__(self, encoder: BinaryEncoder) -> None:
        super().__init__()
        # Only its own layers: those of the stages are units of their own.
        stages = {stage.name for stage in encoder.stages}
        self.parts = nn.ModuleDict(
            {k: m for k, m in encoder.named_children() if k not in stages}
        )
        self._encoder = (encoder,)

    def forward(self, x: Tensor) -> Tensor:
        return self._encoder[0].stem(x)


class SlicedInputs(nn.Module):
    """A unit behind one input, of which each of its own is a part.

    What is counted by one pass has one input; a head reads several levels.

    Args:
        unit: Its module gets a map; a head's a list of them.

    Shape:
        ``(1, values)``, all of its inputs in a row, to what the module gives.
    """

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.module, self.shapes = unit.module, unit.shapes
        self.levels = unit.name.startswith(HEAD)

    def forward(self, x: Tensor) -> Any:
        at, parts = 0, []
        for shape in self.shapes:
            size = torch.Size(shape).numel()
            parts.append(x[:, at : at + size].reshape(1, *shape))
            at += size
        return self.module(parts) if self.levels else self.module(parts[0])


class Prefix(nn.Module):
    """A network up to one of its units.

    Args:
        core: The network.
        units: Of it, in the order of use, up to the last that runs.

    Shape:
        Pictures to the output of the last unit; of heads to a tuple of all that ran.
    """

    def __init__(self, core: NetworkCore, units: Sequence[Unit]) -> None:
        super().__init__()
        self.core = core
        self.names = [unit.name for unit in units]
        encoder = core.backbone
        returned = {encoder.stages[i].name for i in encoder.out_indices}
        last = {stage: name for stage, name, _ in _blocks(encoder)}
        self.levels = {last[stage] for stage in returned}

    def forward(self, x: Tensor) -> Any:
        levels: list[Tensor] = []
        answers: list[Tensor] = []
        for name in self.names:
            if name.startswith(HEAD):
                answers.append(_head(self.core, name)(levels))
                continue
            if name == STEM:
                x = self.core.backbone.stem(x)
            else:
                x = self.core.backbone.get_submodule(name)(x)
            if name in self.levels:
                levels.append(x)
        return tuple(answers) if answers else x


def _head(core: NetworkCore, name: str) -> nn.Module:
    task = name.removeprefix(HEAD)
    return core.heads[task] if task else core.head


@torch.no_grad()
def units_of(core: NetworkCore, picture: Shape) -> list[Unit]:
    """The units of a network, in the order of use.

    Nothing is computed for their shapes but the shapes.

    Args:
        core: Its encoder is one of this project; in evaluation mode.
        picture: ``(C, H, W)`` of the input.
    """
    named = dict(_parts(core.backbone))
    x = torch.zeros(1, *picture, device="meta")
    shadow = copy.deepcopy(core).to("meta").eval()
    seen: dict[str, Shape] = {}
    for name in named:
        if name != STEM:
            module = shadow.backbone.get_submodule(name)
            module.register_forward_pre_hook(
                lambda m, args, name=name: seen.__setitem__(
                    name, tuple(args[0].shape[1:])
                )
            )
    features = shadow.backbone(x)
    units = [
        _unit(name, module, [picture if name == STEM else seen[name]])
        for name, module in named.items()
        if name == STEM or name in seen
    ]
    levels = [tuple(feature.shape[1:]) for feature in features]
    heads = core.heads.items() if hasattr(core, "heads") else [("", core.head)]
    return [*units, *(_unit(f"{HEAD}{name}", head, levels) for name, head in heads)]


def _parts(encoder: BinaryEncoder) -> Iterator[tuple[str, nn.Module]]:
    yield STEM, _Stem(encoder)
    for _, name, module in _blocks(encoder):
        yield name, module


def _blocks(encoder: BinaryEncoder) -> Iterator[tuple[str, str, nn.Module]]:
    """Of each block the stage's name, its own, and its module, in the order of use."""
    for stage in encoder.stages:
        module = encoder.get_submodule(stage.name)
        if isinstance(module, nn.Sequential):
            for name, child in module.named_children():
                yield stage.name, f"{stage.name}.{name}", child
        else:
            yield stage.name, stage.name, module


def _unit(name: str, module: nn.Module, shapes: Sequence[Shape]) -> Unit:
    sizes = " ".join("x".join(map(str, shape)) for shape in shapes)
    layers = ", ".join(filter(None, map(_layer, module.modules())))
    key = f"{type(module).__name__.lstrip('_')} of {sizes}: {layers}"
    return Unit(name, key, tuple(shapes), module)


def _layer(module: nn.Module) -> str:
    """A layer in words, with all that its time depends on."""
    kind = type(module).__name__
    if isinstance(module, nn.Conv2d):
        (k, _), (s, _), (d, _) = module.kernel_size, module.stride, module.dilation
        text = f"{kind} {module.in_channels}>{module.out_channels} {k}x{k}"
        more = dict(s=s, d=d, g=module.groups)
        return " ".join([text, *(f"{n}{v}" for n, v in more.items() if v > 1)])
    if list(module.children()):
        # Of a block, what its layers do not say.
        return f"{kind} {module.extra_repr()}" if module.extra_repr() else ""
    return kind
