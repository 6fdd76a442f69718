"""What every binarizer promises: signs, scales and thresholds, apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class ActivationBinarizer(nn.Module, ABC):
    """Maps real activations to codes; the place where the CMIM loss taps in.

    ``forward(a_F) -> a_B``: its input is the full-precision activation, its output
    the binary one. The wrapper finds instances of this class in any model.

    Attributes:
        levels: The two values of a code, below the threshold and from it on.

    Shape:
        ``(N, C, *)`` to the same shape, dtype and device.
    """

    levels: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Binarize activations ``(N, C, *)``."""

    @abstractmethod
    def threshold(self) -> Tensor:
        """Threshold t with ``code = levels[1] where x >= t``, scalar or ``(C,)``."""


class WeightBinarizer(nn.Module, ABC):
    """Maps latent weights to ``scale * sign``.

    ``forward`` is what training uses (with the method's surrogate gradient);
    ``sign`` and ``scale`` give the two factors apart, so that packing is exact:
    ``forward(w) == scale(w) * sign(w)``.

    Attributes:
        levels: The two values of a code.
        clip_latent: The method keeps its latent weights in [-1, 1]:
            :class:`cmim.hooks.ClipLatentWeights` clamps them after each step.

    Shape:
        weights ``(O, I, kh, kw)``; ``scale`` is ``(O, 1, 1, 1)``.
    """

    levels: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    clip_latent: bool = False

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Binary weights ``scale * sign``, differentiable for the latent weights."""

    @abstractmethod
    def sign(self, weight: Tensor) -> Tensor:
        """Codes in {-1, +1}, no gradient."""

    @abstractmethod
    def scale(self, weight: Tensor) -> Tensor:
        """Scaling factor per filter, ``(O, 1, 1, 1)``, no gradient."""
