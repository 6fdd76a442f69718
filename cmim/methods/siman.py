r"""SiMaN: codes from magnitudes, +1 for the larger half of each filter.

Lin, Ji, Xu, Zhang, Chao, Lin, Shao, SiMaN: Sign-to-Magnitude Network Binarization, IEEE
TPAMI 2022. https://arxiv.org/abs/2102.07981

Forward: activations ``sign(a - mean)`` with the mean of the sample, in evaluation too;
weights +1 where ``|w^| > median|w^|`` in the filter and -1 elsewhere, with w^ the
weights standardised per filter, ``w^ = (w - mean)/sqrt(var + 1e-5)``; the output times
a learned factor per channel, started at ``mean|w|``.
Backward: activations Bi-Real's ``max(0, 2 - 2|a^|)`` of the standardised sample, and on
through its mean and standard deviation; weights the identity to ``|w^|``, and on to
``sign(w^)`` and through the standardisation.

The paper's codes are 0 and +1, which maximise the cosine between codes and magnitudes
(its angle alignment); its code convolves with ``2 b - 1``, so -1 and +1, as here. After
each step the latent weights are centred, and their magnitudes bounded by the layer's
q-th and (100 - q)-th percentile, ``q = 15 (1 - p)`` at training progress p (hook
:class:`cmim.hooks.ClipLatentWeights`). The released code does so in each forward pass,
evaluation included, keeps the codes of the last training step, and moves q once an
epoch: here the first step sees the weights as they were initialised.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, learned output scale,
PReLU after each addition, classifier; the sample's mean, a threshold that is known only
when the activation is.

The paper trains without weight decay on the binary convolutions, which it holds for
essential; no method sets that: ``decay_mult=0`` for them in
``optim_wrapper.paramwise_cfg``.

Published: 60.1 % on ImageNet, ResNet-18 (README of the released code).

Checked: one 3x3 layer against ``BinarizeConv2d`` of github.com/lmbxmu/SiMaN (``cifar``
and ``imagenet``, which differ in a shape alone), commit 998669a, with its two ways to
sort, in filters of odd and of even size, at progress 0, 0.5 and 1, in training, the
bounds applied first: bounded weights, output and gradient of the learned scale equal in
float64; gradients of input and weights at most 2.2e-15 apart (of values up to 5), in
float32 9.5e-7: order of operations. At exact zeros of activations it gives 0, here +1.
"""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.magnitude_codes import bound_magnitudes, magnitude_codes
from cmim.functional.standardize import centred_approx_sign, standardize_filters
from cmim.methods.binarizer import CentredActivation, ScaledSignWeight
from cmim.methods.method import Method
from cmim.methods.output_scale import ChannelScale
from cmim.methods.schedule import Scheduled


class SimanActivation(CentredActivation):
    """``sign(a - mean)`` with Bi-Real's gradient of the standardised sample.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> import torch
        >>> SimanActivation()(torch.tensor([[1.0, 2.0, 4.0]])).tolist()
        [[-1.0, -1.0, 1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return centred_approx_sign(x)


class SimanWeight(Scheduled, ScaledSignWeight):
    """+1 for the larger half of each filter's magnitudes, -1 for the rest.

    Args:
        percent: Percentile that bounds the magnitudes at the start of training.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> weight = torch.tensor([[[[-4.0, 0.0, 1.0, 3.0]]]])
        >>> SimanWeight(15.0)(weight).tolist()
        [[[[1.0, -1.0, -1.0, 1.0]]]]
    """

    clip_latent = True

    def __init__(self, percent: float) -> None:
        super().__init__()
        self.percent = percent

    def forward(self, weight: Tensor) -> Tensor:
        return magnitude_codes(standardize_filters(weight, eps=1e-5))

    def bound_latent(self, weight: Tensor) -> Tensor:
        return bound_magnitudes(weight, self.percent * (1 - self.progress))

    def sign(self, weight: Tensor) -> Tensor:
        return self(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return f"percent={self.percent}"


def METHOD(percent: float = 15.0) -> Method:
    """SiMaN.

    Args:
        percent: Percentile of the layer's magnitudes that bounds them from below, and
            100 less it from above, at the start of training; it falls to 0.

    Raises:
        ValueError: A percentile outside [0, 50).

    Examples:
        >>> METHOD().weight((4, 2, 3, 3))
        SimanWeight(percent=15.0)
    """
    if not 0 <= percent < 50:
        raise ValueError(
            f"method 'siman' needs percent from 0 to below 50, got {percent}"
        )
    return Method(
        name="siman",
        paper="Lin et al., SiMaN, TPAMI 2022. https://arxiv.org/abs/2102.07981",
        weight=lambda shape: SimanWeight(percent),
        activation=lambda channels: SimanActivation(),
        nonlinearity=nn.PReLU,
        full_precision="stem, down-sampling shortcuts, batch-norm, output scale, "
        "sample means, PReLU, classifier",
        output_scale=ChannelScale.of_magnitudes,
        checked="SiMaN (cifar, imagenet), output equal, gradients: 2.2e-15",
        published=60.1,
    )
