"""Names in files that are others here: of earlier versions, of torchvision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FORMER = {"regularizers": "added_losses"}


def current_key(key: str) -> str:
    """A name in a state dict as it is today.

    Args:
        key: As saved by this or an earlier version.

    Examples:
        >>> current_key("regularizers.lipschitz.scale")
        'added_losses.lipschitz.scale'
        >>> current_key("module.regularizers.lipschitz.scale")
        'module.added_losses.lipschitz.scale'
    """
    # Averages of weights are those of a module of this name.
    outer = "module." if key.startswith("module.") else ""
    first, dot, rest = key[len(outer) :].partition(".")
    return outer + FORMER.get(first, first) + dot + rest


def with_current_options(model: Any) -> Any:
    """Options of a wrapper's config as they are called today; anything else as it is.

    Examples:
        >>> with_current_options(dict(type="CMIM", regularizers="lckd"))
        {'type': 'CMIM', 'added_losses': 'lckd'}
    """
    if not isinstance(model, dict):
        return model
    return {FORMER.get(name, name): value for name, value in model.items()}


def classifier_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of torchvision's ResNet as those of a classifier here; others unchanged.

    Args:
        state: A state dict.

    Examples:
        >>> import torch
        >>> one = torch.zeros(1)
        >>> list(classifier_names({"conv1.weight": one, "fc.weight": one}))
        ['backbone.conv1.weight', 'head.fc.weight']
        >>> list(classifier_names({"head.fc.weight": one}))
        ['head.fc.weight']
    """
    if not {"conv1.weight", "fc.weight"} <= set(state):
        return state
    return {
        ("head." if key.startswith("fc.") else "backbone.") + key: value
        for key, value in state.items()
    }
