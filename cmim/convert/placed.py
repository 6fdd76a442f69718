"""Activation binarizers whose thresholds lie where the activations do."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.convert.width import steady_width
from cmim.functional.sign import sign
from cmim.methods import ActivationBinarizer
from cmim.methods.binarizer import Step, TwoLevelActivation


class _Valued(torch.autograd.Function):
    """Other values with the gradient of a tensor."""

    @staticmethod
    def forward(ctx, x: Tensor, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, None


class PlacedActivation(ActivationBinarizer):
    r"""A method's binarizer on activations that were brought to its range.

    .. math:: b\Big(\frac{x - \mu_c}{\sigma_c}\Big)

    A method expects activations around its threshold that mostly lie where its
    surrogate gradient is not 0. In a network that was trained in full precision they
    may all be positive, so that every sign is +1. The shift is fixed once by
    :meth:`place`; what the method learns, it learns on top of it. A binarizer that
    centres its input by itself is left as it is.

    In evaluation, and with two levels in training too, codes are the same with and
    without gradients: those of thresholds in the units of x, as export compares them.
    NaN stays NaN.

    Args:
        inner: The method's binarizer.
        channels: C.

    Attributes:
        hard_training: In training, too, the inner binarizer gives these codes.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> from cmim.methods import get_method
        >>> binarize = placed(get_method("bireal").activation(1), 1)
        >>> binarize.place(torch.tensor([2.0]), torch.tensor([0.5]))
        >>> binarize(torch.tensor([[1.9], [2.0]])).flatten().tolist()
        [-1.0, 1.0]
    """

    hard_training = False
    shift: Tensor
    spread: Tensor

    def __init__(self, inner: ActivationBinarizer, channels: int) -> None:
        super().__init__()
        self.inner = inner
        self.static = inner.static
        self.even = inner.even
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))

    @torch.no_grad()
    def place(
        self, median: Tensor, spread: Tensor, sample: Tensor | None = None
    ) -> None:
        """Put the middle threshold at the medians, and give each channel unit spread.

        Where the codes depend on the threshold alone, the spread is that at which
        gradients keep their size (:func:`cmim.convert.width.steady_width`).

        Args:
            median: Of each channel's activations, ``(C,)``.
            spread: Mean distance from it, ``(C,)``; channels of 0 keep theirs.
            sample: Some activations, ``(values, C)``; without them the width is not
                looked for.
        """
        if not self.static:
            return
        middle = self._middle()
        spread = torch.where(spread > 0, spread, self.spread)
        if sample is not None and isinstance(self.inner, TwoLevelActivation):
            distances = ((sample - median) / spread)[..., None, None]
            shaped = self._shaped(middle, distances)
            spread = spread * steady_width(self.inner, distances, shaped)
        self.spread.copy_(spread)
        self.shift.copy_(median - self.spread * middle)

    def _middle(self) -> Tensor:
        """The middle one of the thresholds, of each channel or of all."""
        like = self.shift.view(1, -1, 1, 1)
        steps = self.inner.steps(torch.zeros_like(like))
        found = sorted(
            (step.threshold.flatten() for step in steps), key=lambda t: float(t.mean())
        )
        return found[(len(found) - 1) // 2].to(self.shift)

    def forward(self, x: Tensor) -> Tensor:
        if not self.static:
            return self.inner(self._moved(x))
        if not torch.is_grad_enabled():
            return self._codes(x)
        out = self.inner(self._moved(x))
        if self.training and not self.hard_training:
            return out
        # Beside a threshold rounding may give the moved activation the other code.
        return _Valued.apply(out, self._codes(x))

    @torch.no_grad()
    def _codes(self, x: Tensor) -> Tensor:
        """As exported networks compare: with thresholds in the units of x."""
        total = None
        for threshold, low, high in self.steps(x):
            low, high = (torch.as_tensor(v).to(x) for v in (low, high))
            part = torch.where(x >= threshold.to(x.dtype), high, low)
            total = part if total is None else total + part
        assert total is not None
        # A diverged network is seen in its loss and not hidden behind codes.
        return total.masked_fill(x.isnan(), torch.nan)

    def steps(self, x: Tensor) -> list[Step]:
        shift, spread = (self._shaped(v, x) for v in (self.shift, self.spread))
        return [
            Step(step.threshold * spread + shift, step.low, step.high)
            for step in self.inner.steps(self._moved(x))
        ]

    def _moved(self, x: Tensor) -> Tensor:
        shift, spread = (self._shaped(v, x).to(x) for v in (self.shift, self.spread))
        return (x - shift) / spread

    @staticmethod
    def _shaped(values: Tensor, x: Tensor) -> Tensor:
        return values.view(-1, *[1] * (x.dim() - 2))


class PlacedTwoLevel(PlacedActivation, TwoLevelActivation):
    """:class:`PlacedActivation` of a binarizer with one threshold.

    Examples:
        >>> from cmim.methods import get_method
        >>> binarize = placed(get_method("bireal").activation(1), 1)
        >>> binarize.place(torch.tensor([2.0]), torch.tensor([0.5]))
        >>> binarize.threshold().tolist()
        [2.0]
    """

    hard_training = True

    def __init__(self, inner: TwoLevelActivation, channels: int) -> None:
        super().__init__(inner, channels)
        self.levels = inner.levels

    @torch.no_grad()
    def _codes(self, x: Tensor) -> Tensor:
        # A difference has the exact sign; this is faster than selections.
        codes = sign(x - self._shaped(self.threshold(), x).to(x.dtype))
        low, high = self.levels
        return codes if (low, high) == (-1, 1) else low + (high - low) / 2 * (codes + 1)

    def threshold(self) -> Tensor:
        assert isinstance(self.inner, TwoLevelActivation)
        return self.inner.threshold() * self.spread + self.shift


def placed(inner: ActivationBinarizer, channels: int) -> PlacedActivation:
    """The binarizer with thresholds that can be placed; two levels stay two levels.

    Args:
        inner: The method's binarizer.
        channels: C.
    """
    if isinstance(inner, TwoLevelActivation) and not inner.soft_training:
        return PlacedTwoLevel(inner, channels)
    return PlacedActivation(inner, channels)
