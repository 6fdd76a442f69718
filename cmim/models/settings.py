"""Options of the contrastive loss: the user's, the preset's, the loss's, defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cmim.contrast import ContrastOptions, loss_defaults, used_options
from cmim.models.read_labels import negatives_of_tasks
from cmim.naming import check_kind

PARTNERS = ("none", "latent", "teacher")
# What worked best for each partner on NYUv2 (docs/contrast.md).
DEFAULTS: dict[str, dict[str, Any]] = {
    "none": dict(taps=(), weight=0.0, negatives="all"),
    "latent": dict(taps="last_binarizer", weight=0.3, negatives="other_label"),
    "teacher": dict(taps="last_two_stages", weight=0.5, negatives="all"),
}
# The two readings of the paper. Its beta is not printed with its results: 2 is ours.
PRESETS: dict[str, dict[str, Any]] = {
    "cmim": dict(
        partner="latent",
        loss="nce",
        taps="every_binarizer",
        weight=3.2,
        beta=2.0,
        negatives="all",
        projection=128,
        level="image",
        queue=4096,
        stop_gradient=False,
    ),
    "cmim_released": dict(
        partner="teacher",
        loss="cmim_released",
        taps="last_stage",
        weight=3.2,
        negatives="all",
        projection=128,
        level="image",
    ),
}


LOSS = "info_nce"


def default_loss(preset: str | None) -> str:
    """The loss where none is named.

    Examples:
        >>> default_loss(None), default_loss("cmim")
        ('info_nce', 'nce')
    """
    return PRESETS.get(preset or "", {}).get("loss", LOSS)


@dataclass(frozen=True)
class Settings:
    """Everything the wrapper is told about the contrastive loss.

    Args:
        partner: One of ``PARTNERS``.
        loss: Name or ``dict(name=..., **options)``.
        taps: Patterns, or one of the words of :mod:`cmim.models.tap_patterns`; or the
            teacher's modules by the student's.
        weight: lambda.
        beta: Depth weighting.
        negatives: One of those that the tasks know.
        shared: Options that all losses share.

    Raises:
        ValueError: A value that is unknown or out of range.
    """

    partner: str
    loss: str | dict
    taps: str | Sequence[str] | Mapping[str, str]
    weight: float
    beta: float
    negatives: str
    shared: ContrastOptions

    def __post_init__(self) -> None:
        for name, known in (
            ("partner", PARTNERS),
            ("negatives", negatives_of_tasks()),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is unknown; "
                    f"choose from {', '.join(known)}"
                )
        if isinstance(self.taps, Mapping) and self.partner != "teacher":
            raise ValueError(
                f"taps {dict(self.taps)!r} pair modules with a teacher's, and partner "
                f"is {self.partner!r}: set partner='teacher', or list the names alone"
            )
        for name in ("weight", "beta"):
            value = getattr(self, name)
            check_kind("the contrastive loss", name, float, value)
            if value == math.inf:
                raise ValueError(f"{name} must be finite, got {value}")
        if not self.weight >= 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")
        if not self.beta >= 1:
            raise ValueError(f"beta must be at least 1, got {self.beta}")


def resolve_settings(preset: str | None, **given: Any) -> Settings:
    """Settings from what the user gave; None means not given.

    Args:
        preset: One of ``PRESETS``, or None. Its partner replaces a given one; of all
            other options those given win.
        **given: Fields of :class:`Settings` and of ``ContrastOptions``.

    Raises:
        ValueError: Unknown preset, or a bad value.

    Examples:
        >>> resolve_settings(None, partner="teacher").weight
        0.5
        >>> resolve_settings("cmim", weight=1.0).shared.queue
        4096
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(
            f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}"
        )
    chosen = {k: v for k, v in given.items() if v is not None}
    loss = chosen.setdefault("loss", default_loss(preset))
    if preset:
        brought = _fitting(PRESETS[preset], loss)
        # A preset is a partner and what goes with it; every config names a partner.
        chosen = {**brought, **chosen, "partner": brought["partner"]}
    partner = chosen.setdefault("partner", "latent")
    merged = {
        "beta": 1.0,
        **DEFAULTS.get(partner, DEFAULTS["none"]),
        **loss_defaults(loss),
        **chosen,
    }
    if partner == "none":
        # Without a partner there is nothing to tap, whatever the config lists.
        merged["taps"] = ()
    shared = {f.name for f in fields(ContrastOptions)} & set(merged)
    options = ContrastOptions(**{name: merged.pop(name) for name in shared})
    return Settings(**merged, shared=options)


def _fitting(preset: dict[str, Any], loss: str | dict) -> dict[str, Any]:
    """Without shared options that another loss than the preset's does not use."""
    used = used_options(loss)
    shared = {f.name for f in fields(ContrastOptions)}
    own = loss_defaults(loss)
    return {k: own.get(k, v) for k, v in preset.items() if k in used or k not in shared}
