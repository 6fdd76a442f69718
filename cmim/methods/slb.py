r"""SLB: binary weights searched as a distribution over -1 and +1 that sharpens.

Yang, Wang, Han, Xu, Xu, Tao, Xu, Searching for Low-Bit Weights in Quantized Neural
Networks, NeurIPS 2020. https://arxiv.org/abs/2009.08695

Forward: activations ``sign(a)``; weights in training ``sum_v v softmax(T A)_v`` over
``v in {-1, +1}``, which depends on the two logits by their difference d alone and is
``tanh(T d / 2)``; in evaluation, and in training from ``end`` on, the likelier value
``sign(d)``. No scaling factor. T is ``t_min``, rises exponentially from progress
``start`` to ``end`` up to ``t_max``, and is infinite after.
Backward: activations ``1{|a| <= 1}``; weights the true gradient
``(T/2) (1 - tanh^2(T d / 2))``, no estimator; 0 from ``end`` on, where only the rest of
the network learns.

d is the latent weight, so pretrained weights load: at T = 1 and small d the layer
starts as theirs over 2. One step of SGD on both logits moves d by twice the gradient
for d: the paper's training of A with learning rate r is that of d with 2 r (SGD and
Adam alike), weight decay halved, and initial values sqrt(2) times as wide.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. The authors'
ResNets have a PReLU between convolution and batch-norm, which is not part of it here.

State batch-norm: the paper keeps statistics of the discrete weights apart. The authors'
read-me, and MindSpore's code, recompute the running statistics with the discrete
weights after each epoch. Here the running statistics are those of what training sees:
of the soft weights until ``end``, of the discrete ones after. A model evaluated before
``end`` has statistics of the soft weights.

Defaults are those of the read-me's ImageNet ResNet-18 of 1/1 bit: temperature times
1.05 an epoch (350 after all) from 0.4 to 0.9 of 240 epochs; there by epochs, here each
step. That training goes on with the codes alone from ``end`` on is MindSpore's code.

Checked: the authors published a read-me and no code (github.com/zhaohui-yang/
Binary-Neural-Networks, commit 64174ee). One 3x3 layer against
``SlbFakeQuantizerPerLayer`` of github.com/mindspore-ai/golden-stick (Huawei's too),
commit a50ddc9, its operators replaced by torch's, at T = 1, 18.7 and 19.2, after the
end, and in evaluation: output, input gradient and gradient of both logits at most
8.5e-14 apart in float64 (of values up to 219), 4.1e-5 in float32 (of 179); codes equal.
30 steps of SGD with momentum and decay, and of Adam, on both logits and on d as said
above: 2.7e-15 apart. At a tie that code gives -1, here +1. Its activations have 8 bits:
``sign(a)`` and its gradient are not confirmed by any code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.relaxed_sign import relaxed_sign, search_temperature
from cmim.functional.sign import sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method
from cmim.methods.schedule import Scheduled


class SlbWeight(Scheduled, ScaledSignWeight):
    """``tanh(T w / 2)`` in training, ``sign(w)`` at its end and in evaluation.

    Args:
        t_min: Temperature T at the start of training, > 0.
        t_max: T just before ``end``, > 0.
        start: Progress from which T rises.
        end: Progress from which training sees the codes.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = SlbWeight(2.0, 350.0, 0.4, 0.9)
        >>> weight = torch.tensor([[[[0.0, 99.0]]]])
        >>> binarize(weight).tolist(), binarize.eval()(weight).tolist()
        ([[[[0.0, 1.0]]]], [[[[1.0, 1.0]]]])
    """

    def __init__(self, t_min: float, t_max: float, start: float, end: float) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max
        self.start = start
        self.end = end

    def temperature(self) -> Tensor:
        """T of the step, scalar; infinite in evaluation."""
        if not self.training:
            return torch.full_like(self.progress, torch.inf)
        return search_temperature(
            self.progress, self.t_min, self.t_max, self.start, self.end
        )

    def forward(self, weight: Tensor) -> Tensor:
        return relaxed_sign(weight, self.temperature())

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return (
            f"t_min={self.t_min}, t_max={self.t_max}, "
            f"start={self.start}, end={self.end}"
        )


def METHOD(
    t_min: float = 1.0, t_max: float = 350.0, start: float = 0.4, end: float = 0.9
) -> Method:
    """SLB.

    Args:
        t_min: Temperature at the start of training, > 0.
        t_max: Temperature just before ``end``, at least ``t_min``.
        start: Share of training after which the temperature rises.
        end: Share of training after which weights are the codes, without gradient. At
            1 they are soft to the last step.

    Raises:
        ValueError: Not ``0 < t_min <= t_max`` or not ``0 <= start < end <= 1``.

    Examples:
        >>> METHOD(t_max=100.0).weight((8, 4, 3, 3))
        SlbWeight(t_min=1.0, t_max=100.0, start=0.4, end=0.9)
    """
    if not 0 < t_min <= t_max:
        raise ValueError(
            f"method 'slb' needs 0 < t_min <= t_max, got {t_min} and {t_max}"
        )
    if not 0 <= start < end <= 1:
        raise ValueError(
            f"method 'slb' needs 0 <= start < end <= 1, got {start} and {end}"
        )
    return Method(
        name="slb",
        paper="Yang et al., SLB, NeurIPS 2020. https://arxiv.org/abs/2009.08695",
        weight=lambda shape: SlbWeight(t_min, t_max, start, end),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="golden-stick (MindSpore), weights and gradients: 8.5e-14; no "
        "authors' code; statistics are those of the soft weights until the end",
    )
