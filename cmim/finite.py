"""Finding numbers that are none: NaN and Inf in what a run keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def is_finite(values: Tensor) -> bool:
    """Whether a tensor holds no NaN and no Inf; integers never do.

    A sum carries every NaN and Inf along and needs no memory, where ``isfinite`` makes
    a mask; the mask is made only where the sum itself is too large for its type.

    Args:
        values: Any tensor on any device; this waits for the device.

    Examples:
        >>> import torch
        >>> [is_finite(torch.tensor(v)) for v in ([1.0, torch.inf], [3e38, 3e38])]
        [False, True]
    """
    if not (values.is_floating_point() or values.is_complex()) or values.is_meta:
        return True
    if values.is_floating_point() and values.element_size() == 1:
        # torch adds no numbers of 8 bits.
        values = values.float()
    values = values.detach()
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def named_tensors(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested dictionaries and lists, with dotted names.

    Args:
        content: What a checkpoint holds.
        name: Put before the names.

    Examples:
        >>> import torch
        >>> [n for n, _ in named_tensors({"a": [torch.ones(1), 2]}, "part")]
        ['part.a.0']
    """
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from named_tensors(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, (list, tuple)):
        for index, value in enumerate(content):
            yield from named_tensors(value, f"{name}.{index}" if name else str(index))


def what_is_not_finite(content: Any) -> str:
    """Which tensors hold NaN or Inf, in words; empty where none does.

    Args:
        content: A state dict, or a checkpoint's nested parts.

    Examples:
        >>> import torch
        >>> state = {"a": torch.tensor([torch.nan]), "b": torch.ones(2)}
        >>> what_is_not_finite(state), what_is_not_finite({"b": state["b"]})
        ("NaN or Inf in 1 of 2 tensors (first 'a')", '')
    """
    found = list(named_tensors(content))
    wrong = [name for name, values in found if not is_finite(values)]
    if not wrong:
        return ""
    return f"NaN or Inf in {len(wrong)} of {len(found)} tensors (first '{wrong[0]}')"
