r"""BNN: signs of weights and activations, hard tanh between the layers.

Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, Binarized Neural Networks, NeurIPS 2016.
https://arxiv.org/abs/1602.02830

Forward: ``sign(a)``, ``sign(w)``, no scaling factor; hard tanh after each addition.
Backward: activations ``1{|a| <= 1}``; weights the identity, with latent weights clipped
to [-1, 1] after each step (hook :class:`cmim.hooks.ClipLatentWeights`).

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. The paper's
shift-based batch-norm and AdaMax, and its binarized inner classifier layers, are not
part of the method here.

Checked: one 3x3 layer against ``BinarizeConv2d`` behind a hard tanh of
github.com/itayhubara/BinaryNet.pytorch, commit 80f6d46 (which has the window in the
hard tanh and the identity in its signs): output, input and weight gradient equal in
float64 and float32. At exact zeros that code gives 0, here +1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import identity_sign, sign, ste_sign
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method
from cmim.methods.nonlinearity import HardTanh


class BnnActivation(TwoLevelActivation):
    """``sign(a)`` with the gradient ``1{|a| <= 1}``.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> BnnActivation()(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return ste_sign(x)

    def threshold(self) -> Tensor:
        return torch.zeros(())


class BnnWeight(ScaledSignWeight):
    """``sign(w)`` with the identity gradient and clipped latent weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> BnnWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    clip_latent = True

    def forward(self, weight: Tensor) -> Tensor:
        return identity_sign(weight)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)


def METHOD() -> Method:
    """BNN.

    Examples:
        >>> METHOD().nonlinearity(8)
        HardTanh(min_val=-1.0, max_val=1.0)
    """
    return Method(
        name="bnn",
        paper="Hubara et al., Binarized Neural Networks, NeurIPS 2016. "
        "https://arxiv.org/abs/1602.02830",
        weight=lambda shape: BnnWeight(),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: HardTanh(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="BinaryNet.pytorch, output and gradients: equal",
    )
