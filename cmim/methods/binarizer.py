"""What every binarizer promises: codes, scales and thresholds, apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from cmim.functional.rotation import sample_mean


class Step(NamedTuple):
    """One two-level term of an activation: ``high where x >= threshold, else low``.

    Attributes:
        threshold: Broadcastable to the activation.
        low: Value below the threshold.
        high: Value from the threshold on.
    """

    threshold: Tensor
    low: Tensor | float
    high: Tensor | float


class ActivationBinarizer(nn.Module, ABC):
    """Maps real activations to codes; the place where the CMIM loss taps in.

    ``forward(a_F) -> a_B``: its input is the full-precision activation, its output
    the binary one. The wrapper finds instances of this class in any model. Most
    methods are a :class:`TwoLevelActivation`; several bases or levels are a sum of
    steps.

    Attributes:
        static: The thresholds and levels do not depend on the input, so that export
            can fold them.
        even: All steps are of one height by construction, so that ``2^k - 1`` of them
            are a number of k bits: k binary tensors instead of ``2^k - 1``.
        training_only: Names of parts that evaluation does not read; costs leave them
            out.

    Shape:
        ``(N, C, *)`` to the same shape, dtype and device.
    """

    static: bool = True
    even: bool = False
    training_only: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Binarize activations ``(N, C, *)``."""

    @abstractmethod
    def steps(self, x: Tensor) -> list[Step]:
        """Terms whose sum is the forward pass in evaluation, without gradient.

        Args:
            x: The activation ``(N, C, *)``: gives the shape, and the values where the
                binarizer is not ``static``.
        """


def outermost(
    model: nn.Module,
    kinds: type[nn.Module] | tuple[type[nn.Module], ...] = ActivationBinarizer,
) -> dict[str, nn.Module]:
    """Modules of some kinds that lie inside no other, by name, in order.

    What an addition wraps is a part of the wrapping binarizer.

    Args:
        model: Any module.
        kinds: Classes.

    Examples:
        >>> from cmim.methods import get_method
        >>> binarize = get_method("bireal+unbalanced").activation(4)
        >>> list(outermost(nn.Sequential(nn.ReLU(), binarize)))
        ['1']
    """
    found: dict[str, nn.Module] = {}
    inside = None
    for name, module in model.named_modules():
        if inside is not None and name.startswith(inside):
            continue
        if isinstance(module, kinds):
            found[name] = module
            inside = f"{name}." if name else ""
    return found


class TwoLevelActivation(ActivationBinarizer):
    """One threshold and two levels, -1 and +1 in most methods.

    Attributes:
        levels: The two values of a code, below the threshold and from it on.
        soft_training: Training sees values between the levels, so that the convolution
            behind must not keep bits.
    """

    levels: tuple[float, float] = (-1.0, 1.0)
    soft_training: bool = False

    @abstractmethod
    def threshold(self) -> Tensor:
        """Threshold t with ``code = levels[1] where x >= t``, scalar or ``(C,)``."""

    def steps(self, x: Tensor) -> list[Step]:
        threshold = self.threshold().detach()
        if threshold.dim():
            threshold = threshold.view(-1, *[1] * (x.dim() - 2))
        return [Step(threshold, *self.levels)]


class CentredActivation(ActivationBinarizer):
    """``sign(a - mean)`` with the mean of the sample, which export takes off first."""

    static = False

    def steps(self, x: Tensor) -> list[Step]:
        return [Step(sample_mean(x.detach()), -1.0, 1.0)]


class WeightBinarizer(nn.Module, ABC):
    """Maps latent weights to a sum of ``scale * codes``.

    Most methods are a :class:`ScaledSignWeight` with one term.

    Attributes:
        clip_latent: The method keeps its latent weights within bounds:
            :class:`cmim.hooks.ClipLatentWeights` applies :meth:`bound_latent` after
            each step.
        offset: The last term is an offset, a number for each filter that is added to
            all its weights: its codes are +1 everywhere. All filters then share the sum
            of what lies under the kernel, so that it is no further binary convolution.

    Shape:
        weights ``(O, I, kh, kw)`` to the same shape.
    """

    clip_latent: bool = False
    offset: bool = False

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Binary weights, differentiable for the latent weights.

        In evaluation the sum of ``scale * codes`` over :meth:`terms`; a schedule may
        let training see something in between.
        """

    def bound_latent(self, weight: Tensor) -> Tensor:
        """Latent weights within the method's bounds, no gradient: [-1, 1] for most.

        Args:
            weight: ``(O, ...)`` latent weights.
        """
        return weight.detach().clamp(-1, 1)

    @abstractmethod
    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pairs (scale ``(O, 1, 1, 1)``, codes in {-1, +1}), no gradient."""

    def code_terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The terms that are codes of the weights: all but an :attr:`offset`."""
        terms = self.terms(weight)
        return terms[:-1] if self.offset else terms


class ScaledSignWeight(WeightBinarizer):
    """One term: ``forward(w) == scale(w) * sign(w)``, so that packing is exact."""

    @abstractmethod
    def sign(self, weight: Tensor) -> Tensor:
        """Codes in {-1, +1}, no gradient."""

    @abstractmethod
    def scale(self, weight: Tensor) -> Tensor:
        """Scaling factor per filter, ``(O, 1, 1, 1)``, no gradient."""

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [(self.scale(weight), self.sign(weight))]
