"""Backbones of mmsegmentation, by the name in its registry."""

from __future__ import annotations

import inspect
from typing import Any

import mmseg.models  # noqa: F401 (fills the registry)
from mmseg.registry import MODELS

from cmim.encoders.sources.source import Body


def SOURCE(name: str, in_channels: int, options: dict[str, Any]) -> Body:
    """A backbone of mmseg, which gives its levels of features itself.

    Args:
        name: In mmseg's registry, e.g. ``'MixVisionTransformer'``.
        in_channels: Bands of the pictures.
        options: Further arguments of the backbone.

    Raises:
        ValueError: No such backbone, or options that it does not take.
    """
    kind = MODELS.get(name)
    if kind is None:
        known = [k for k in MODELS.module_dict if "Head" not in k and "Loss" not in k]
        close = [other for other in known if other[:2] == name[:2]] or known
        raise ValueError(
            f"mmseg has no backbone {name!r}; it has {', '.join(close[:20])}, ..."
        )
    if options.get("init_cfg") or options.get("pretrained"):
        raise ValueError(
            "name the file of weights with the encoder's pretrained=, not with the "
            "network's init_cfg or pretrained"
        )
    if "in_channels" in inspect.signature(kind).parameters:
        options = {"in_channels": in_channels, **options}
    try:
        network = kind(**options)
    except (TypeError, AssertionError, KeyError) as error:
        raise ValueError(f"mmseg/{name}: {error}") from None
    return Body(network, returns_features=True)
