r"""BiPer: weights binarized by a periodic function.

Vargas, Correa, Hinojosa, Arguello, BiPer: Binary Neural Networks using a Periodic
Function, CVPR 2024. https://arxiv.org/abs/2404.01278

Forward: activations ``sign(a)``; weights ``sign(sin(omega w))``; the output times a
learned factor per channel.
Backward: weights ``omega cos(omega w)``; activations as in :mod:`cmim.methods.recu`:
``max(0, 2 - 2|a/s|)`` with s the sample's standard deviation, in training, and on
through s.

Training has two stages: before the share ``switch`` the convolution is given
``sin(omega w)`` itself, after it the sign, with the same gradient. The released runs
are 200 epochs and 100, the second with a learning rate of its own (0.01 instead of 0.1)
and from the best weights of the first; ``switch=2/3`` does both in one run, with one
schedule of the learning rate. Two runs are ``switch=1`` and then ``switch=0`` with
``backbone.init_from``. Evaluation always binarizes, so figures from before the switch
say little: the batch-norm statistics then are those of soft weights.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, learned output scale,
hard tanh after each addition, classifier.

A weight's sign says nothing of its code: 0.1 and 0.2 differ with omega = 20, the
frequency of the released ImageNet runs. ``omega`` times the spread of the latent
weights is what matters, so another initialization wants another frequency.

Checked: one 3x3 layer against ``BinarizeConv2d`` of github.com/edmav4/BiPer
(``imagenet`` and ``cifar10``), commit 0c07fdd, in both stages, in training and, of the
second, in evaluation: output and gradient of the learned scale equal; input and weight
gradients at most 5.7e-14 apart in float64 (of values up to 466), 3.1e-5 in float32 (of
475): order of summation. At exact zeros it gives 0, here +1.

Published: 61.4 % top-1 on ImageNet with ResNet-18 (README of the released code).
"""

from __future__ import annotations

from torch import Tensor

from cmim.functional.periodic_sign import periodic_sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.method import Method
from cmim.methods.nonlinearity import HardTanh
from cmim.methods.output_scale import ChannelScale
from cmim.methods.recu import RecuActivation
from cmim.methods.schedule import Scheduled


class BiperWeight(Scheduled, ScaledSignWeight):
    """``sign(sin(omega w))``, in training before the switch ``sin(omega w)``.

    Args:
        frequency: omega > 0, in radians per unit of the latent weights.
        switch: Share of the training with the sine.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> binarize, w = BiperWeight(2.0, 0.5), torch.tensor([[[[0.0, 1.0, -1.0]]]])
        >>> binarize.eval()(w).tolist()
        [[[[1.0, 1.0, -1.0]]]]
        >>> [round(value, 4) for value in binarize.train()(w).flatten().tolist()]
        [0.0, 0.9093, -0.9093]
    """

    def __init__(self, frequency: float, switch: float) -> None:
        super().__init__()
        self.frequency = frequency
        self.switch = switch

    def forward(self, weight: Tensor) -> Tensor:
        # Chosen on the device: reading the progress would wait for it.
        soft = self.progress < self.switch if self.training else None
        return periodic_sign(weight, self.frequency, soft)

    def sign(self, weight: Tensor) -> Tensor:
        return periodic_sign(weight.detach(), self.frequency)

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return f"frequency={self.frequency:g}, switch={self.switch:.3g}"


def METHOD(frequency: float = 20.0, switch: float = 2 / 3) -> Method:
    """BiPer.

    Args:
        frequency: omega > 0.
        switch: Share of the training with the sine in place of its sign, 0 to 1.

    Raises:
        ValueError: A frequency that is not positive, or a switch outside of [0, 1].

    Examples:
        >>> METHOD(frequency=10).weight((4, 2, 3, 3))
        BiperWeight(frequency=10, switch=0.667)
    """
    if frequency <= 0:
        raise ValueError(f"method 'biper' needs a positive frequency, got {frequency}")
    if not 0 <= switch <= 1:
        raise ValueError(f"method 'biper' needs a switch from 0 to 1, got {switch}")
    return Method(
        name="biper",
        paper="Vargas et al., BiPer, CVPR 2024. https://arxiv.org/abs/2404.01278",
        weight=lambda shape: BiperWeight(frequency, switch),
        activation=lambda channels: RecuActivation(),
        nonlinearity=lambda channels: HardTanh(),
        full_precision="stem, down-sampling shortcuts, batch-norm, output scale, "
        "classifier",
        output_scale=lambda conv: ChannelScale(conv.out_channels),
        checked="BiPer (imagenet, cifar10), output equal, gradients: 5.7e-14 (of 466)",
        published=61.4,
    )
