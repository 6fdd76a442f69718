"""One contrastive loss per file, chosen by name: a module with ``LOSS`` is one.

A module's ``DEFAULTS`` are the shared options, and the ``negatives``, that the loss
needs or was published with, so that its name alone is enough.
"""

from __future__ import annotations

from typing import Any

import torch

from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.options import ContrastOptions
from cmim.naming import factories, make_named


def available_losses() -> list[str]:
    """Names of all contrastive losses, sorted.

    Examples:
        >>> {"info_nce", "nce", "nwj"} <= set(available_losses())
        True
    """
    return sorted(factories("cmim.contrast.losses", "LOSS"))


def get_loss(loss: str | dict) -> LossBuilder:
    """Look a loss up by name.

    Args:
        loss: A name, or ``dict(name=..., **options)`` with options of its own.

    Raises:
        ValueError: Unknown name or option; the message lists what exists.

    Examples:
        >>> from cmim.contrast.options import ContrastOptions
        >>> build = get_loss({"name": "interpolated", "alpha": 0.1})
        >>> build(8, 8, ContrastOptions()).bound.alpha
        0.1
        >>> get_loss("infonce")
        Traceback (most recent call last):
        ValueError: loss 'infonce' is unknown; choose from ..., info_nce, ...
    """
    return make_named("loss", factories("cmim.contrast.losses", "LOSS"), loss)


def loss_defaults(loss: str | dict) -> dict[str, Any]:
    """Shared options that a loss brings along; nothing for an unknown name.

    Args:
        loss: As for :func:`get_loss`.

    Examples:
        >>> loss_defaults("info_nce"), loss_defaults("npid")["level"]
        ({}, 'image')
    """
    name = str(loss.get("name") if isinstance(loss, dict) else loss)
    brought: dict[str, Any] = factories("cmim.contrast.losses", "DEFAULTS")
    return dict(brought.get(name, {}))


def used_options(loss: str | dict) -> frozenset[str]:
    """Shared options that a loss uses; it refuses the others.

    Args:
        loss: As for :func:`get_loss`.

    Raises:
        ValueError: Unknown name or option.

    Examples:
        >>> sorted(used_options("amdim") & {"queue", "gather"})
        ['gather']
    """
    own = loss_defaults(loss)
    own.pop("negatives", None)
    # The draws of this one must not shift those of the model.
    with torch.random.fork_rng(devices=[]):
        return get_loss(loss)(4, 4, ContrastOptions(**own)).used
