r"""RBNN: weights rotated towards their signs before they are binarized.

Lin, Ji, Xu, Zhang, Wang, Wu, Huang, Lin, Rotated Binary Neural Network, NeurIPS 2020.
https://arxiv.org/abs/2009.13055

Forward: weights ``sign(w~)``, ``w~ = w^ + |sin beta| (R^T w^ - w^)``, with w^ the
weights standardised per filter, ``R = R1 (x) R2``, and beta learned per filter, started
at pi/2; activations ``sign(a - mean)`` with the mean of the sample, in evaluation too;
the output times a learned factor per channel, started at ``mean|w|``.
Backward: weights ``k max(0, sqrt(2) t - t^2 |w~|)`` with ``t = t_min (t_max/t_min)^p``
and ``k = max(1/t, 1)`` at training progress p, and on through rotation and
standardisation; activations the same of the standardised sample with k = 1 and ``max(t,
1)``, and on through its mean and standard deviation.

R1 and R2 come from alternating singular value decompositions, ``rotations`` times in
training, evenly spread, the first before the first step. The released code does so at
the start of each epoch: 1000 times on CIFAR-10, 150 times on ImageNet, which is the
default.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, learned output scale,
hard tanh after each addition, classifier; the sample's mean, a threshold that is known
only when the activation is.

``rotation_gradient``: the weight's gradient flows through R^T w^ as well, ``(1 - |sin
beta|) I + |sin beta| R``. This is the default, as it is what differentiation gives. The
released code, from which the published numbers come, takes R^T w^ as a constant
(``rotation_gradient=False``): at beta = pi/2 weights then get no gradient and beta all
but none, so that only weight decay starts the training. The paper's own formula was not
read. That code moves t once an epoch, here it moves each step. A constant filter or
sample is binarized to +1 here and is NaN there. Late in training gradients grow by
orders of magnitude from layer to layer: take bfloat16, not float16.

Checked: one 3x3 layer with random beta against ``BinarizeConv2d`` of
github.com/lmbxmu/RBNN (``cifar`` and ``imagenet``, the same file), commit 0b5e73b,
without ``rotation_gradient``, at progress 0, 0.5 and 0.8, with and without a turn of
the rotation, in training and evaluation: output equal; R1 and R2 at most 2.4e-15 apart
in float64; gradients of input, weights, beta and scale at most 1.6e-12 apart (of values
up to 458), in float32 9.5e-4 (of 571): order of summation. At exact zeros it gives 0,
here +1.

Published: 59.9 % top-1 on ImageNet with ResNet-18 (README of the released code).
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmim.functional.error_decay import error_decay_slope
from cmim.functional.rotation import (
    align_rotation,
    balanced_factors,
    centred_parabolic_sign,
    parabolic_sign,
    rotate_filters,
)
from cmim.functional.sign import sign
from cmim.functional.standardize import standardize_filters
from cmim.methods.binarizer import CentredActivation, ScaledSignWeight
from cmim.methods.method import Method, Shape
from cmim.methods.nonlinearity import HardTanh
from cmim.methods.output_scale import ChannelScale
from cmim.methods.schedule import Scheduled


class RbnnActivation(Scheduled, CentredActivation):
    """``sign(a - mean)`` with the mean of the sample.

    Args:
        t_min: Steepness t at the start of training, > 0; below 1 it counts as 1.
        t_max: Steepness t at its end, > 0.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> RbnnActivation(0.01, 10.0)(torch.tensor([[1.0, 2.0, 4.0]])).tolist()
        [[-1.0, -1.0, 1.0]]
    """

    def __init__(self, t_min: float, t_max: float) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max

    def forward(self, x: Tensor) -> Tensor:
        t, _ = error_decay_slope(self.progress, self.t_min, self.t_max)
        return centred_parabolic_sign(x, t.clamp(min=1))

    def extra_repr(self) -> str:
        return f"t_min={self.t_min}, t_max={self.t_max}"


class RbnnWeight(Scheduled, ScaledSignWeight):
    """``sign(w^ + |sin beta| (R^T w^ - w^))`` of the weights standardised per filter.

    The rotation is part of the state. It is turned in the forward pass of a training
    step before which the progress has passed another multiple of ``1/rotations``; as
    the progress of the last step is in the checkpoint too, a resumed run turns it at
    the same steps.

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.
        t_min: Steepness t at the start of training, > 0.
        t_max: Steepness t at its end, > 0.
        rotations: How often R is turned in training; 0 leaves it at random.
        rotation_gradient: Let gradients flow through ``R^T w^``.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = RbnnWeight((4, 2, 3, 3), 0.01, 10.0, 150, True)
        >>> {name: tuple(value.shape) for name, value in binarize.state_dict().items()}
        {'beta': (4, 1, 1, 1), 'progress': (), 'left': (3, 3), 'right': (6, 6)}
    """

    left: Tensor
    right: Tensor

    def __init__(
        self,
        shape: Shape,
        t_min: float,
        t_max: float,
        rotations: int,
        rotation_gradient: bool,
    ) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max
        self.rotations = rotations
        self.rotation_gradient = rotation_gradient
        sides = balanced_factors(math.prod(shape[1:]))
        for name, side in zip(("left", "right"), sides, strict=True):
            self.register_buffer(name, nn.init.orthogonal_(torch.empty(side, side)))
        self.beta = nn.Parameter(torch.full((shape[0], 1, 1, 1), math.pi / 2))
        # The number of the last turn by the host's clock; None: not yet read.
        self._turn: int | None = None
        self._is_due = False

    def set_progress(self, progress: float) -> None:
        if self._turn is None:
            self._turn = self._turn_at(self.progress.item())
        super().set_progress(progress)
        # As the buffer has it, which is what a resumed run reads.
        turn = self._turn_at(torch.tensor(progress, dtype=self.progress.dtype).item())
        self._is_due = self.rotations > 0 and (progress == 0 or turn > self._turn)
        self._turn = turn

    def _turn_at(self, progress: float) -> int:
        # A multiple of 1 / rotations may have been rounded down.
        return math.floor(progress * self.rotations + 1e-3)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._turn = None
        self._is_due = False

    def forward(self, weight: Tensor) -> Tensor:
        standardized = standardize_filters(weight)
        if self.training and self._is_due:
            self._is_due = False
            self._rotate(standardized)
        t, k = error_decay_slope(self.progress, self.t_min, self.t_max)
        return parabolic_sign(self._adjust(standardized), t, k)

    @torch.no_grad()
    def _rotate(self, standardized: Tensor) -> None:
        turned = align_rotation(standardized, self.left, self.right)
        for side, new in zip((self.left, self.right), turned, strict=True):
            side.copy_(new)
            if dist.is_available() and dist.is_initialized():
                # Decompositions on different devices may differ in their last bits.
                dist.broadcast(side, src=0)

    def _adjust(self, standardized: Tensor) -> Tensor:
        rotated = rotate_filters(standardized, self.left, self.right)
        if not self.rotation_gradient:
            rotated = rotated.detach()
        return standardized + self.beta.sin().abs() * (rotated - standardized)

    @torch.no_grad()
    def sign(self, weight: Tensor) -> Tensor:
        return sign(self._adjust(standardize_filters(weight)))

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return (
            f"t_min={self.t_min}, t_max={self.t_max}, rotations={self.rotations}, "
            f"rotation_gradient={self.rotation_gradient}"
        )


def METHOD(
    t_min: float = 0.01,
    t_max: float = 10.0,
    rotations: int = 150,
    rotation_gradient: bool = True,
) -> Method:
    """RBNN.

    Args:
        t_min: Steepness of the surrogate at the start of training, > 0.
        t_max: Steepness at its end, > 0.
        rotations: How often the rotation is turned in training, evenly spread; more
            than there are steps is once a step.
        rotation_gradient: Let weight gradients flow through the rotation; the
            released code does not.

    Raises:
        ValueError: A steepness that is not positive, or negative ``rotations``.

    Examples:
        >>> METHOD(rotations=10).activation(8)
        RbnnActivation(t_min=0.01, t_max=10.0)
    """
    if t_min <= 0 or t_max <= 0:
        raise ValueError(
            f"method 'rbnn' needs positive t_min and t_max, got {t_min} and {t_max}"
        )
    if rotations < 0:
        raise ValueError(f"method 'rbnn' needs rotations >= 0, got {rotations}")
    return Method(
        name="rbnn",
        paper="Lin et al., RBNN, NeurIPS 2020. https://arxiv.org/abs/2009.13055",
        weight=lambda shape: RbnnWeight(
            shape, t_min, t_max, rotations, rotation_gradient
        ),
        activation=lambda channels: RbnnActivation(t_min, t_max),
        nonlinearity=lambda channels: HardTanh(),
        full_precision="stem, down-sampling shortcuts, batch-norm, output scale, "
        "sample means, classifier",
        output_scale=ChannelScale.of_magnitudes,
        checked="RBNN (cifar, imagenet) with rotation_gradient=False, which is not the "
        "default: output and gradients 1.6e-12",
        published=59.9,
    )
