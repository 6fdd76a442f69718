r"""BONN: weights drawn to two Gaussians around what their signs stand for.

Gu, Zhao, Jiang, Zhang, Liu, Guo, Ji, Bayesian Optimized 1-Bit CNNs, ICCV 2019.
https://arxiv.org/abs/1908.06314

Forward: activations ``sign(a)``; weights ``sign(k)/mean(w)`` of the latent weights k
with the reconstruction vector w, a positive number for each position of the layer's
kernels: the scale is one number for the layer.
Backward: activations ``1{|a| <= 1}``; weights ``1{|w k| <= 1}`` to the product w k and
so ``w/mean(w)`` times that to k; vector and scale are constants of the step.
Loss (Bayesian kernel loss): per layer ``loss_weight/2`` times
:func:`cmim.functional.bayesian_kernel.bayesian_kernel_error`, the squared error of
``sign(k) - w k`` and ``nu`` times the negative logarithm of a Gaussian for each sign,
with a mean and a deviation for each filter. :class:`cmim.models.CMIM` adds it to the
task's losses.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, PReLU after each
addition, classifier.

Not part of the method here: the Bayesian feature loss, which draws the classifier's
input to learned centres of the picture's class: it reads labels, which a binarizer does
not have, and dense tasks have no class of a picture. The published network has its
batch-norm in front of the sign; blocks here have it behind the convolution.

Published: 59.4 % on ImageNet, ResNet-18 (README of the released code).

Checked: the authors release trained weights and code that evaluates them
(github.com/EmptyWJ/Bayesian-Optimized-1-bit-CNNs, commit 713fbb7), read only: signs of
activations, one magnitude for the weights of a layer, PReLU, as here. Formulas of
training were read in a later book of the group (Zhang et al., Binary Neural Networks,
CRC Press, Section 3.7), as was ``loss_weight=1e-4``, the best of its table; the paper
itself was not at hand. There codes are ``w sign(k)`` in one place and ``sign(k)`` in
another; only the latter agree with its loss and its scale ``1/w``.
Not established, chosen here: ``nu`` and the window of the activations. Reconstruction
vectors, means and deviations are at the optimum of the loss in each step, where the
authors follow it by gradients; vectors get a gradient of the task too there, which with
a batch-norm behind the convolution, as here, made small networks diverge.
"""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.bayesian_kernel import (
    bayesian_kernel_error,
    reconstruction_vector,
)
from cmim.functional.sign import sign, ste_sign
from cmim.methods.auxiliary_loss import WithAuxiliaryLoss
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method


class BonnWeight(WithAuxiliaryLoss, ScaledSignWeight):
    """``sign(k)/mean(w)``, with the Bayesian kernel loss.

    Args:
        loss_weight: lambda, >= 0.
        nu: Weight of the Gaussians in the loss, >= 0.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> binarize = BonnWeight(loss_weight=2.0, nu=0.0)
        >>> weight = torch.tensor([1.0, -3.0]).view(1, 2, 1, 1)  # w = 4 / 10
        >>> binarize(weight).flatten().tolist()
        [2.5, -2.5]
        >>> round(binarize.take_auxiliary_loss().item(), 4)  # 0.6^2 + 0.2^2
        0.4
    """

    def __init__(self, loss_weight: float, nu: float) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.nu = nu

    def forward(self, weight: Tensor) -> Tensor:
        vector = reconstruction_vector(weight)
        if self.training:
            error = bayesian_kernel_error(weight, vector, self.nu)
            self.leave_auxiliary_loss(self.loss_weight / 2 * error)
        return self.scale(weight) * ste_sign(vector * weight)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        scale = 1 / reconstruction_vector(weight).mean((2, 3), keepdim=True)
        return scale.expand(len(weight), 1, 1, 1)

    def extra_repr(self) -> str:
        return f"loss_weight={self.loss_weight}, nu={self.nu}"


def METHOD(loss_weight: float = 1e-4, nu: float = 0.1) -> Method:
    """BONN.

    Args:
        loss_weight: Weight of the Bayesian kernel loss (the paper's lambda), >= 0.
        nu: Weight of its Gaussians beside its reconstruction error, >= 0.

    Raises:
        ValueError: A negative weight.

    Examples:
        >>> METHOD().weight((8, 4, 3, 3))
        BonnWeight(loss_weight=0.0001, nu=0.1)
    """
    if not (loss_weight >= 0 and nu >= 0):
        raise ValueError(
            f"method 'bonn' needs loss_weight and nu >= 0, got {loss_weight} and {nu}"
        )
    return Method(
        name="bonn",
        paper="Gu et al., BONN, ICCV 2019. https://arxiv.org/abs/1908.06314",
        weight=lambda shape: BonnWeight(loss_weight, nu),
        activation=lambda channels: BnnActivation(),
        nonlinearity=nn.PReLU,
        full_precision="stem, down-sampling shortcuts, batch-norm, PReLU, classifier",
        checked="no published code of the training; formulas of a book of the authors, "
        "without the feature loss",
        published=59.4,
    )
