r"""BinaryConnect: binary weights, real activations.

Courbariaux, Bengio, David, BinaryConnect: Training Deep Neural Networks with Binary
Weights during Propagations, NeurIPS 2015. https://arxiv.org/abs/1511.00363

Forward: weights ``sign(w)``; stochastic: ``+1`` with probability
``clip((w + 1)/2, 0, 1)``, drawn anew in each training step.
Backward: the gradient of the binary weight is that of the latent one. Latent weights
are clipped to [-1, 1] after each step (hook :class:`cmim.hooks.ClipLatentWeights`).

Full precision: activations, stem, 1x1 down-sampling shortcuts, batch-norm, classifier.

Evaluation is with ``sign(w)`` in both modes, the paper's first way to test; its
stochastic results were obtained with the real weights. Each process of distributed
training draws its own codes. The scaled learning rate of the released code
(``W_LR_scale``) is a matter of the recipe and left out.

Checked: formulas read in the released Theano code (``binarization`` and
``clipping_scaling`` of github.com/MatthieuCourbariaux/BinaryConnect, commit 2f97a8f),
which was not run. It rounds half to even, so there w = 0 gives -1; here +1.
"""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.sign import identity_sign, sign, stochastic_codes
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.method import Method


class BinaryConnectWeight(ScaledSignWeight):
    """``sign(w)``, or codes drawn with mean ``clip(w)``, with the identity gradient.

    Args:
        stochastic: Draw the codes in training.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> BinaryConnectWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    clip_latent = True

    def __init__(self, stochastic: bool = False) -> None:
        super().__init__()
        self.stochastic = stochastic

    def forward(self, weight: Tensor) -> Tensor:
        if self.stochastic and self.training:
            # sign(w) times this is the code, and the identity gradient goes to w.
            agrees = stochastic_codes(weight.detach()) * sign(weight.detach())
            return identity_sign(weight, agrees)
        return identity_sign(weight)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return f"stochastic={self.stochastic}"


def METHOD(stochastic: bool = False) -> Method:
    """BinaryConnect.

    Args:
        stochastic: See :class:`BinaryConnectWeight`.

    Examples:
        >>> METHOD().activation is None
        True
    """
    return Method(
        name="binary_connect",
        paper="Courbariaux et al., BinaryConnect, NeurIPS 2015. "
        "https://arxiv.org/abs/1511.00363",
        weight=lambda shape: BinaryConnectWeight(stochastic),
        activation=None,
        nonlinearity=lambda channels: nn.ReLU(),
        full_precision="activations, stem, down-sampling shortcuts, batch-norm, "
        "classifier",
        checked="released Theano code read, not run; differs at w = 0",
    )
