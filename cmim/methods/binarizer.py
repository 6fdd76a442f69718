"""What every binarizer promises: signs, scales and thresholds, apart."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class ActivationBinarizer(nn.Module, ABC):
    """Maps real activations to codes; the place where the CMIM loss taps in.

    ``forward(a_F) -> a_B``: its input is the full-precision activation, its output
    the binary one. The wrapper finds instances of this class in any model.

    Shape:
        ``(N, C, *)`` to the same shape, dtype and device.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Binarize activations ``(N, C, *)``."""

    @abstractmethod
    def threshold(self) -> Tensor:
        """Threshold t with ``code = +1 where x >= t``, scalar or ``(C,)``."""


class WeightBinarizer(nn.Module, ABC):
    """Maps latent weights to ``scale * sign``.

    ``forward`` is what training uses (with the method's surrogate gradient);
    ``sign`` and ``scale`` give the two factors apart, so that packing is exact:
    ``forward(w) == scale(w) * sign(w)``.

    Shape:
        weights ``(O, I, kh, kw)``; ``scale`` is ``(O, 1, 1, 1)``.
    """

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Binary weights ``scale * sign``, differentiable for the latent weights."""

    @abstractmethod
    def sign(self, weight: Tensor) -> Tensor:
        """Codes in {-1, +1}, no gradient."""

    @abstractmethod
    def scale(self, weight: Tensor) -> Tensor:
        """Scaling factor per filter, ``(O, 1, 1, 1)``, no gradient."""
