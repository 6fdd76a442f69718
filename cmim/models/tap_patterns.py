"""Words for the modules that are usually tapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from cmim.contrast import binarizer_names
from cmim.stages import ENCODER, idle_stages, stage_names

WORDS = ("last_binarizer", "every_binarizer", "last_stage", "last_two_stages")


def tap_patterns(
    model: nn.Module, taps: str | Sequence[str] | Mapping[str, str]
) -> list[str]:
    """Glob patterns of module names, for a word, a pattern or several.

    Args:
        model: The task model, with an encoder ``backbone``.
        taps: One of ``WORDS``; or patterns, shallow to deep; or a mapping of names.

    Raises:
        ValueError: A word, and the model has nothing of that kind; or a key of a
            mapping that names no module.
    """
    if isinstance(taps, Mapping):
        return _paired(model, list(taps))
    if not isinstance(taps, str):
        return list(taps)
    if taps not in WORDS:
        if taps.isidentifier() and taps not in dict(model.named_children()):
            raise ValueError(
                f"taps {taps!r} is neither a module nor a known word; the words are "
                f"{', '.join(WORDS)}"
            )
        return [taps]
    if taps.endswith("binarizer"):
        every = _running(model, binarizer_names(model))
        names = [n for n in every if n.startswith(f"{ENCODER}.")] or every
        if not names:
            raise ValueError(
                f"taps {taps!r}, as for partner 'latent', needs an activation "
                "binarizer and the model has none; choose a binary method, or "
                "partner='none'"
            )
        return names if taps == "every_binarizer" else names[-1:]
    stages = stage_names(model)
    if not stages:
        raise ValueError(
            f"taps {taps!r}, as for partner 'teacher', found no stages of the "
            "encoder; name the modules to compare with model.taps"
        )
    if taps == "last_two_stages" and len(stages) < 2:
        raise ValueError(
            f"taps {taps!r}, but of this encoder only {stages[0]} runs: choose "
            "taps='last_stage', or let backbone.out_indices reach a later stage"
        )
    return stages[-1 if taps == "last_stage" else -2 :]


def _paired(model: nn.Module, names: list[str]) -> list[str]:
    """The names, which are no patterns: each has one partner."""
    known = dict(model.named_modules())
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(
            f"taps pair '{wrong[0]}' with a module of the teacher, and the model has "
            f"no such module; its stages are {', '.join(stage_names(model))}"
        )
    return names


def _running(model: nn.Module, names: list[str]) -> list[str]:
    """Without the modules of stages behind the last one that the encoder returns."""
    idle = tuple(f"{stage}." for stage in idle_stages(model))
    return [name for name in names if not name.startswith(idle)]
