"""What may differ between the rows of a closed suite: the binarizer and the loss."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Where a binarizer is chosen, in a wrapped model or one alone.
_BINARIZER = re.compile(
    r"model\.(model\.)?(backbone|decode_head|head|heads\.\w+)\.method(\..+)?"
)


def keys_outside(change: Mapping[str, Any]) -> Iterator[str]:
    """Dotted keys of an axis's value that a closed suite must not change.

    Binarizers (``method`` of encoder and heads) and all options of the contrastive
    loss, its teacher included, may differ; data, schedule and network may not.

    Args:
        change: Overrides; values may be dictionaries of further ones.

    Examples:
        >>> list(keys_outside({"model.model.backbone": {"method": "fp", "depth": 34},
        ...                    "model.loss": "nce", "train_cfg.max_iters": 9}))
        ['model.model.backbone.depth', 'train_cfg.max_iters']
    """
    for key, value in change.items():
        if _BINARIZER.fullmatch(key) or _is_option_of_loss(key):
            continue
        if isinstance(value, Mapping) and value:
            yield from keys_outside({f"{key}.{k}": v for k, v in value.items()})
        else:
            yield key


def _is_option_of_loss(key: str) -> bool:
    from cmim.models import CMIM

    parts = key.split(".")
    options = set(inspect.signature(CMIM).parameters)
    # The network, and how much its labels count: both belong to the recipe.
    options -= {"model", "task_loss_weight"}
    return parts[0] == "model" and len(parts) > 1 and parts[1] in options
