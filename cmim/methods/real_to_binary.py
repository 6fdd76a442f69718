r"""Real-to-Binary Net: output channels gated by the real input, trained in steps.

Martinez, Yang, Bulat, Tzimiropoulos, Training Binary Neural Networks with
Real-to-Binary Convolutions, ICLR 2020. https://arxiv.org/abs/2003.11535

Forward: activations ``sign(a)``, weights ``sign(w)``; the output of each convolution
times a gate per channel and sample, ``sigmoid(W2 max(0, W1 z))`` of the means z of the
real input's channels, with I/8 hidden values (here 8, or I, at least); then a PReLU,
the batch-norm and the addition.
Backward: ``1{|a| <= 1}`` and ``1{|w| <= 1}``, with latent weights clipped to [-1, 1]
after each step (hook :class:`cmim.hooks.ClipLatentWeights`); gate by backpropagation,
to the real input too.

Steps, each a run of its own whose config starts from the one before:

1. The full-precision twin (``method=fp``), the first teacher.
2. ``step=1``, binary activations and real weights: ``added_losses`` with
   ``attention_matching`` (30) and ``logit_distillation`` (3), ``model.teacher`` the
   twin.
3. ``step=2``, both binary: ``backbone.init_from`` and ``model.teacher`` the second
   run's checkpoint, ``model.teacher_model`` its task model, ``logit_distillation``
   alone (0.8, ``temperature=1``).

Weights are those of larq's re-implementation. The paper has one more step before the
second, which is not offered: the same network with tanh in place of the sign, taught by
the first and teaching the second.

Full precision: stem, 1x1 down-sampling shortcuts, gates, PReLU, batch-norm, classifier.
The published network has its batch-norm in front of the sign, so that gates read
normalised activations, and none behind the convolution.

Published: 65.4 % on ImageNet, ResNet-18, after all steps (remembered of the paper,
whose tables were not at hand).

Checked: the authors' code was never released; they point to github.com/larq/zoo, commit
77c5853, whose ``RealToBinNetFactory`` was run in TensorFlow on one 3x3 layer's output
and input: gated output and gradients of output, input and both matrices at most 2.3e-13
apart in float64 (of values up to 383), 2.7e-4 in float32: order of summation. Its signs
and their windows, and its clipped weights, were read only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cmim.functional.scale_map import channel_gate
from cmim.methods.binarizer import WeightBinarizer
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method, Shape
from cmim.methods.output_scale import OutputPReLU, OutputScale
from cmim.methods.xnor_net_pp import XnorPlusWeight

REDUCTION = 8
# One or two rectified values may be 0 for all pictures, and then learn nothing.
LEAST_HIDDEN = 8


class RealToBinaryWeight(XnorPlusWeight):
    """``sign(w)`` with the gradient ``1{|w| <= 1}`` and clipped latent weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> RealToBinaryWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    clip_latent = True


class ChannelGate(OutputScale):
    """A factor between 0 and 1 per sample and channel, from the real input's means.

    Args:
        in_channels: I.
        out_channels: O.
        reduction: Input channels for each hidden value; there are 8, or I, at least.

    Examples:
        >>> gate = ChannelGate(16, 4, reduction=8)
        >>> _ = nn.init.zeros_(gate.expand)
        >>> gate(torch.ones(1, 4, 1, 1), torch.ones(1, 16, 2, 2)).flatten().tolist()
        [0.5, 0.5, 0.5, 0.5]
        >>> gate.macs  # 16 * 8 + 8 * 4
        160
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(in_channels // reduction, min(in_channels, LEAST_HIDDEN))
        self.reduce = nn.Parameter(torch.empty(hidden, in_channels))
        self.expand = nn.Parameter(torch.empty(out_channels, hidden))
        self.macs = hidden * (in_channels + out_channels)
        for weight in (self.reduce, self.expand):
            nn.init.kaiming_normal_(weight)

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        # Under autocast the features stay in their type.
        return out * channel_gate(activation, self.reduce, self.expand).to(out.dtype)


def METHOD(step: int = 2, reduction: int = REDUCTION) -> Method:
    """Real-to-Binary Net.

    Args:
        step: 1 keeps the weights real, 2 binarizes them too.
        reduction: Input channels for each hidden value of a gate, at least 1.

    Raises:
        ValueError: Another step, or a reduction below 1.

    Examples:
        >>> METHOD(step=1).weight is None, METHOD().weight is None
        (True, False)
    """
    if step not in (1, 2):
        raise ValueError(
            f"method 'real_to_binary' has no step {step!r}; choose 1 (activations "
            "binary) or 2 (weights too)"
        )
    if reduction < 1:
        raise ValueError(
            f"method 'real_to_binary' needs a reduction of at least 1, got {reduction}"
        )
    weights: dict[int, Callable[[Shape], WeightBinarizer] | None] = {
        1: None,
        2: lambda shape: RealToBinaryWeight(),
    }
    return Method(
        name="real_to_binary",
        paper="Martinez et al., Real-to-Binary Net, ICLR 2020. "
        "https://arxiv.org/abs/2003.11535",
        weight=weights[step],
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, gates, PReLU, batch-norm, "
        "classifier" + (", weights" if step == 1 else ""),
        output_scale=lambda conv: OutputPReLU(
            conv.out_channels,
            ChannelGate(conv.in_channels, conv.out_channels, reduction),
        ),
        checked="larq's re-implementation (the authors' code was not released), gate "
        "and gradients: 2.3e-13 (of 383)",
        published=65.4,
    )
