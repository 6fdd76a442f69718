r"""Unbalanced activations: the threshold of the signs away from zero.

Kim, Park, Lee, Kim, Improving Accuracy of Binary Neural Networks using Unbalanced
Activation Distribution, CVPR 2021. https://arxiv.org/abs/2012.00938

Forward: ``b(a - tau)``, with b the method's own binarizer, so all its thresholds move
by tau; for most methods ``sign(a - tau)``. tau is fixed: learned ones did not help, as
the bias of a batch-norm in front does the same.
Backward: that of b, at ``a - tau``.

Surprises: ``a - tau`` is a new tensor, which b keeps for its backward pass: one more
activation a layer in memory. Where b's own threshold is not zero, roundings can put an
activation that lies on the sum of the two on either side of it.

Checked: against formulas only, there is no published code. The paper's own tau could
not be established here (its abstract speaks of shifted thresholds without a number), so
the default 0.2 is this project's choice: sweep it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from cmim.methods.binarizer import ActivationBinarizer, Step, TwoLevelActivation
from cmim.methods.method import Method, require_activation


class ShiftedActivation(ActivationBinarizer):
    """``inner(x - threshold)``.

    Args:
        inner: The method's own binarizer.
        threshold: tau, in the units of the activation.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> import torch
        >>> from cmim.methods import get_method
        >>> binarize = ShiftedActivation(get_method("bireal").activation(2), 0.25)
        >>> binarize(torch.tensor([[0.2, 0.25]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, inner: ActivationBinarizer, threshold: float) -> None:
        super().__init__()
        self.inner = inner
        self.shift = threshold
        self.static = inner.static
        self.even = inner.even

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self._shifted(x))

    def steps(self, x: Tensor) -> list[Step]:
        shift = x.new_full((), self.shift)
        return [
            Step(threshold.to(x.dtype) + shift, low, high)
            for threshold, low, high in self.inner.steps(self._shifted(x))
        ]

    def _shifted(self, x: Tensor) -> Tensor:
        # Rounded to the dtype of x first, as the thresholds are: the difference then
        # has the exact sign, in bfloat16 too.
        return x - x.new_full((), self.shift)

    def extra_repr(self) -> str:
        return f"threshold={self.shift}"


class ShiftedTwoLevel(ShiftedActivation, TwoLevelActivation):
    """:class:`ShiftedActivation` of a binarizer with one threshold.

    Examples:
        >>> from cmim.methods import get_method
        >>> ShiftedTwoLevel(get_method("bireal").activation(2), 0.25).threshold()
        tensor(0.2500)
    """

    def __init__(self, inner: TwoLevelActivation, threshold: float) -> None:
        super().__init__(inner, threshold)
        self.levels = inner.levels

    def threshold(self) -> Tensor:
        assert isinstance(self.inner, TwoLevelActivation)
        threshold = self.inner.threshold()
        return threshold + threshold.new_full((), self.shift)


def shifted(inner: ActivationBinarizer, threshold: float) -> ShiftedActivation:
    """The binarizer with all its thresholds moved; two levels stay two levels."""
    if isinstance(inner, TwoLevelActivation):
        return ShiftedTwoLevel(inner, threshold)
    return ShiftedActivation(inner, threshold)


def ADDITION(threshold: float = 0.2) -> Callable[[Method], Method]:
    """Unbalanced activations.

    Args:
        threshold: tau, in the units of the activation, of either sign.

    Raises:
        ValueError: tau is not finite; the method keeps its activations real.

    Examples:
        >>> from cmim.methods import get_method
        >>> ADDITION(threshold=0.25)(get_method("bireal")).activation(2).threshold()
        tensor(0.2500)
    """
    if not math.isfinite(threshold):
        raise ValueError(
            f"addition 'unbalanced' needs a finite threshold, got {threshold}"
        )

    def apply(method: Method) -> Method:
        activation = require_activation(method, "unbalanced")
        return replace(
            method,
            name=f"{method.name}+unbalanced",
            paper=f"{method.paper}; Kim et al., Improving Accuracy of Binary Neural "
            "Networks using Unbalanced Activation Distribution, CVPR 2021. "
            "https://arxiv.org/abs/2012.00938",
            activation=lambda channels: shifted(activation(channels), threshold),
            checked=f"{method.checked}; unbalanced: no published code",
        )

    return apply
