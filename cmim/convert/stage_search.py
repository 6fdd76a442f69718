"""Which modules of a network that says nothing are its stages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cmim.convert.probe import Call, Probe, probe
from cmim.stages import Stage, input_bands

# Not square, so that an output shows which of its dimensions are rows and columns.
PICTURE = (256, 192)


def find_stages(
    network: nn.Module,
    names: Sequence[str] | None = None,
    size: tuple[int, int] = PICTURE,
) -> tuple[Stage, ...]:
    """The stages of a network, by what its modules give for one picture.

    Without names they are the modules that are the last ones to give features of a
    stride, on that level of the module tree which shows the most strides.

    Args:
        network: Takes pictures ``(N, C, H, W)``.
        names: Of the modules; searched when None.
        size: Height and width of the picture.

    Raises:
        ValueError: A name that is no module, or that gives no features; nothing found.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(),
        ...     nn.Conv2d(4, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1))
        >>> [(stage.name, stage.channels, stage.stride) for stage in find_stages(net)]
        [('1', 4, 2), ('2', 8, 4)]
    """
    picture = torch.rand(
        1, input_bands(network), *size, generator=torch.Generator().manual_seed(0)
    )
    weight = next(network.parameters(), picture)
    seen = probe(network, picture.to(weight))
    if names is None:
        found = _search(seen, size, ("maps", "channels_last"))
        if len(found) < 2:
            found = _search(seen, size, ("maps", "channels_last", "tokens"))
        if not found:
            raise ValueError(
                f"no module of this {type(network).__name__} gives features of the "
                "picture: name its stages with stages="
            )
        return found
    calls = {call.name: call for call in seen.calls}
    unknown = [name for name in names if name not in calls]
    if unknown:
        known = [name for name in calls if name.count(".") < 2 and name]
        raise ValueError(
            f"stage {unknown[0]!r} is no module that runs; choose from "
            f"{', '.join(known[:24])}"
        )
    stages = [stage_of(calls[name], size) for name in names]
    for name, stage in zip(names, stages, strict=True):
        if stage is None:
            raise ValueError(f"stage {name!r} gives no features of the picture")
    return tuple(stage for stage in stages if stage is not None)


def _search(
    seen: Probe, size: tuple[int, int], layouts: Sequence[str]
) -> tuple[Stage, ...]:
    levels: dict[int, dict[int, Stage]] = {}
    for call in seen.calls:
        stage = stage_of(call, size)
        if stage is None or not call.name or stage.layout not in layouts:
            continue
        level = levels.setdefault(call.name.count("."), {})
        # Features of a decoder, finer than what came before, end the encoder.
        if all(stride <= stage.stride for stride in level):
            level[stage.stride] = stage
    if not levels:
        return ()
    best = max(levels, key=lambda depth: (len(levels[depth]), -depth))
    return tuple(levels[best][stride] for stride in sorted(levels[best]))


def stage_of(call: Call, size: tuple[int, int]) -> Stage | None:
    """A module as a stage, or None if its output is no feature map or tokens.

    Args:
        call: Its name and output.
        size: Height and width of the picture.
    """
    out = call.output
    if not isinstance(out, Tensor) or out.dim() not in (3, 4):
        return None
    if out.dim() == 3:
        for places in (out.shape[1], out.shape[1] - 1):
            side = (size[0] * size[1] / max(1, places)) ** 0.5
            if side == round(side):
                return Stage(call.name, out.shape[2], round(side), "tokens")
        return None
    found: list[tuple[tuple[float, float], Stage]] = []
    for layout, (rows, columns), channels in (
        ("maps", out.shape[2:], out.shape[1]),
        ("channels_last", out.shape[1:3], out.shape[3]),
    ):
        if min(rows, columns) > 1:
            across, down = size[0] / rows, size[1] / columns
            difference = abs(across - down) / across
            if difference <= 0.2:
                stride = round((across + down) / 2)
                fit = (difference, abs(across - stride))
                found.append((fit, Stage(call.name, channels, stride, layout)))
    # Channels may be as many as columns, nearly: the better fit counts.
    return min(found, key=lambda pair: pair[0])[1] if found else None
