"""Stages of a network of another library, and what runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cmim.convert.probe import Call, Probe, probe
from cmim.convert.stage_search import PICTURE, find_stages, stage_of
from cmim.encoders.sources import Body
from cmim.stages import ENCODER, Stage, input_bands, stages_of

# Where a :class:`Features` keeps the network.
INSIDE = "network."
# Where the encoder passes through the levels that no module of the network gives alone.
LEVELS = "levels."


class Features(nn.Module):
    """The features of a network, without the classifier behind them."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, x: Tensor) -> Any:
        return getattr(self.network, self.method)(x)


def reader_of(body: Body) -> nn.Module:
    """What is called with pictures: the network, or its method that gives features."""
    return Features(body.network, body.features) if body.features else body.network


def body_stages(body: Body, names: Sequence[str] | None) -> tuple[Stage, ...]:
    """Stages of a network: named by the user, the library, or searched.

    Args:
        body: The network.
        names: The user's.

    Raises:
        ValueError: A name that gives no features; nothing found.
    """
    if body.returns_features and names is None:
        own = stages_of(nn.ModuleDict({ENCODER: body.network}))
        levels = _returned_levels(body)
        alone = len(own) == len(levels)
        return _renamed(own, f"{ENCODER}.") if alone else levels
    reader, size = reader_of(body), body.size or PICTURE
    inside = INSIDE if body.features else ""
    if names is not None:
        found = find_stages(reader, [f"{inside}{name}" for name in names], size)
        return _renamed(found, inside)
    if body.stages is not None:
        try:
            named = [f"{inside}{name}" for name in body.stages]
            return _renamed(find_stages(reader, named, size), inside)
        except ValueError:
            # The library's names are of modules that give several maps at once.
            pass
    return _renamed(find_stages(reader, None, size), inside)


def _returned_levels(body: Body) -> tuple[Stage, ...]:
    """What a network returns, level by level.

    One module may give several of them, as a non-linearity that is used four times.
    """
    size = body.size or PICTURE
    picture = torch.zeros(1, input_bands(body.network), *size)
    output = probe(body.network, picture).output
    found = []
    for k, out in enumerate(output if isinstance(output, (tuple, list)) else [output]):
        stage = stage_of(Call(f"{LEVELS}{k}", body.network, picture, out), size)
        if stage is None:
            raise ValueError(
                f"output {k} of this {type(body.network).__name__} holds no features "
                "of the picture: name its stages with stages="
            )
        found.append(stage)
    return tuple(found)


def _renamed(stages: Sequence[Stage], prefix: str) -> tuple[Stage, ...]:
    return tuple(replace(s, name=s.name.removeprefix(prefix)) for s in stages)


def cut_behind(body: Body, picture: Tensor, last: str) -> None:
    """Put nothing in place of what runs behind the last stage, such as a classifier.

    Args:
        body: Its network is changed.
        picture: An input of it.
        last: Name of the last stage.
    """
    network = body.network
    seen = probe(reader_of(body), picture)
    for name in _behind(network, seen, last):
        network.set_submodule(name, nn.Identity())


def _behind(network: nn.Module, seen: Probe, last: str) -> list[str]:
    """Outermost modules that run behind the last stage only, or not at all."""
    names = {id(module): name for name, module in network.named_modules()}
    order = [names[id(c.module)] for c in seen.calls if id(c.module) in names]
    end = order.index(last)
    before, behind = order[: end + 1], set(order[end + 1 :])
    # Whole parts that the features do without.
    behind |= {
        name
        for name, module in network.named_children()
        if not any(n == name or n.startswith(f"{name}.") for n in order)
        and list(module.parameters())
    }
    needed = {n for name in before for n in _and_above(name)}
    free = [name for name in behind if name and name not in needed]
    return [
        name
        for name in free
        if not any(other in free for other in _and_above(name) if other != name)
    ]


def _and_above(name: str) -> list[str]:
    """A module and all that hold it, by name."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
