"""How far the outputs of an exported network are from torch's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from cmim.deploy.formats.format import OutputCheck


def compare_outputs(
    ours: Sequence[np.ndarray], expected: Tensor | Sequence[Tensor]
) -> OutputCheck:
    """Compare the outputs of a file with those of the network it was made of.

    Args:
        ours: ``(N, K, ...)`` each.
        expected: The network's output, or its outputs, one for each task.

    Returns:
        ``difference``, the largest; ``largest``, the largest magnitude expected (of
        several outputs those of the one that is farthest off for its magnitude); and
        for one output of several classes ``same_class``, the share of places where the
        largest value is of the same class.

    Examples:
        >>> import torch
        >>> compare_outputs([np.float32([[1.0, 2.0]])], torch.tensor([[3.0, 2.0]]))
        {'difference': 2.0, 'largest': 3.0, 'same_class': 0.0}
    """
    outputs = [expected] if isinstance(expected, Tensor) else expected
    pairs = [(a, b.numpy()) for a, b in zip(ours, outputs, strict=True)]
    rows = [(float(np.abs(a - b).max()), float(np.abs(b).max())) for a, b in pairs]
    difference, largest = max(rows, key=lambda row: row[0] / max(row[1], 1e-30))
    found = OutputCheck(difference=difference, largest=largest)
    if len(pairs) == 1 and pairs[0][1].shape[1] > 1:
        first, second = pairs[0]
        found["same_class"] = float((first.argmax(1) == second.argmax(1)).mean())
    return found
