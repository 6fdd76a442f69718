r"""BiBench's overall metrics: a binarization as a share of full precision.

With :math:`A` a figure of full precision, :math:`A^{bi}` the same of the binary network
and :math:`\mathrm{E}` a mean, a track of N groups (tasks, architectures) has

.. math:: \mathrm{OM} = \sqrt{\tfrac{1}{N} \sum_{i=1}^N
    \mathrm{E}^2\Big[\frac{A^{bi}_i}{A_i}\Big]}

and the track of robustness, over kinds of corruption with the gap
:math:`G = A^{clean} - A^{corrupted}`,

.. math:: \mathrm{OM}_{robust} = \sqrt{\tfrac{1}{C} \sum_{c=1}^C
    \mathrm{E}^2\Big[\frac{G_c}{G^{bi}_c}\Big]}

so that 1 is as good as full precision, and more is better, in all of them. Of errors,
which BiBench has not, the ratio is the other way round, and so is the gap.

References:
    Qin et al., BiBench: Benchmarking and Analyzing Network Binarization, ICML 2023.
    https://arxiv.org/abs/2301.11233
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def relative_accuracy(binary: float, full: float, higher: bool = True) -> float:
    """A figure as a share of full precision's; of errors the inverse.

    Args:
        binary: Of the binary network.
        full: Of the full-precision one.
        higher: Larger figures are better.

    Returns:
        NaN where it would be something over 0.

    Examples:
        >>> relative_accuracy(30.0, 40.0), relative_accuracy(1.0, 0.75, higher=False)
        (0.75, 0.75)
    """
    over, under = (binary, full) if higher else (full, binary)
    return over / under if under else math.nan


def overall(groups: Iterable[Sequence[float]]) -> float:
    """The quadratic mean of the groups' means; what is NaN does not count.

    Args:
        groups: Ratios of each task, architecture or kind of corruption.

    Returns:
        NaN where there is no ratio at all.

    Examples:
        >>> overall([[0.5, 0.7], [0.8]])
        0.707...
    """
    known = [[ratio for ratio in group if not math.isnan(ratio)] for group in groups]
    squares = [np.mean(group) ** 2 for group in known if group]
    return math.sqrt(np.mean(squares)) if squares else math.nan


def generalization_gap(
    clean: float, corrupted: Sequence[float], higher: bool = True
) -> float:
    """What is lost to a kind of corruption, the mean over its severities.

    Args:
        clean: Figure on the pictures as they are.
        corrupted: Figures at each severity.
        higher: Larger figures are better.

    Examples:
        >>> generalization_gap(40.0, [38.0, 30.0])
        6.0
        >>> generalization_gap(0.5, [0.75, 1.0], higher=False)
        0.375
    """
    lost = clean - float(np.mean(corrupted))
    return lost if higher else -lost


def robustness_ratio(full_gap: float, binary_gap: float) -> float:
    """Full precision's gap over that of the binary network.

    Returns:
        Above 1 where the binary network loses less; NaN where one of them loses
        nothing, since a ratio then says nothing.

    Examples:
        >>> robustness_ratio(6.0, 4.0), robustness_ratio(6.0, -1.0)
        (1.5, nan)
    """
    if not (full_gap > 0 and binary_gap > 0):
        return math.nan
    return full_gap / binary_gap
