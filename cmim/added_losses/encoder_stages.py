"""The stages of an encoder that losses on its feature maps read by default."""

from __future__ import annotations

import re

from torch import nn

STAGE = re.compile(r"backbone\.layer(\d+)")


def encoder_stages(model: nn.Module) -> list[str]:
    """Names of the encoder's stages that run, shallow to deep.

    Stages behind the last one that the encoder returns never run.

    Args:
        model: A task model.

    Examples:
        >>> model = nn.ModuleDict(dict(backbone=nn.Module()))
        >>> for k in (1, 2, 3):
        ...     model.backbone.add_module(f"layer{k}", nn.Identity())
        >>> model.backbone.out_indices = (0, 1)
        >>> encoder_stages(model)
        ['backbone.layer1', 'backbone.layer2']
    """
    found = [STAGE.fullmatch(name) for name, _ in model.named_modules()]
    returned = getattr(getattr(model, "backbone", None), "out_indices", None)
    last = max(returned) + 1 if returned else len(found)
    return [match[0] for match in found if match and int(match[1]) <= last]
