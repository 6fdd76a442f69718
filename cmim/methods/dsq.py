r"""DSQ with one bit: a tanh between two levels, its range and shape learned.

Gong, Liu, Jiang, Li, Hu, Lin, Yu, Yan, Differentiable Soft Quantization: Bridging
Full-Precision and Low-Bit Neural Networks, ICCV 2019. https://arxiv.org/abs/1908.05033

Forward: values are clipped to a range [l, u] and then given the nearer end:
``m + h sign(a - m)`` with ``m = (l + u)/2``, ``h = (u - l)/2``.
Backward: ``sign`` is replaced by ``phi(a) = s tanh(k (a - m))``,
``k = ln(2/alpha - 1)/(u - l)``, ``s = 1/tanh(k h) = 1/(1 - alpha)``: the gradient for
a is ``h phi'(a) 1{l <= a <= u}``, and the rule gives gradients for l, u and alpha too.
They are one number a layer, for weights and activations apart.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. No
non-linearity after an addition: the clip is part of the quantizer.

Weights have a symmetric range, ``m = 0``: the paper's binary case is a sign, and a free
range would add an offset, which is not a sum of signs.
Activations learn both ends, as the paper's quantizer does. ``learn_range=False`` keeps
[-1, 1] for activations and the start for weights: the sign of the paper's Eq. 1.

Learned are m, ln(h/start) and the logit of ``alpha/alpha_max``, so that l < u and
0 < alpha < alpha_max hold without a clamp; the paper learns l, u and alpha with an
upper bound on alpha. Its bound and its starting values could not be established: 0.5
and [-1, 1], weights three standard deviations of the encoder's Kaiming start, are a
choice of this project; 0.2 for alpha is that of the unofficial code.

Checked: one 3x3 layer against ``dsq_function_per_tensor`` of github.com/ModelTC/MQBench
(by authors of the paper), commit 00f477d, which differentiates through the range,
though the library takes the range from an observer and fixes alpha; and against
``DSQConv`` of github.com/ricky40403/DSQ (unofficial, alpha and range learned), commit
f06df7f, with its floor division mended for present PyTorch and alpha kept in float64.
Output and gradients of input, weights, ranges and alpha at most 7.1e-14 apart in
float64 (of values up to 98), 9.2e-5 in float32 (of 98): order of summation. At the
middle of the range both give the lower end, here the upper; the unofficial code
multiplies the gradient of its range by 0.1. The authors' own training code was not
found.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cmim.functional.sign import sign
from cmim.functional.soft_quantize import soft_two_levels
from cmim.methods.binarizer import ActivationBinarizer, ScaledSignWeight, Step
from cmim.methods.method import Method, Shape


class SoftRange(nn.Module):
    """Learned range and alpha of one tensor.

    Args:
        half: Half the range at the start, > 0.
        alpha: alpha at the start, between 0 and ``alpha_max``.
        alpha_max: Upper bound of alpha.
        learn_middle: The middle is learned and not 0.
        learn_range: The range is learned at all.

    Examples:
        >>> [round(v.item(), 4) for v in SoftRange(1.0, 0.2, 0.5, True, True)()]
        [0.0, 1.0, 0.2]
    """

    middle: Tensor
    log_growth: Tensor

    def __init__(
        self,
        half: float,
        alpha: float,
        alpha_max: float,
        learn_middle: bool,
        learn_range: bool,
    ) -> None:
        super().__init__()
        self.start = half
        self.alpha_max = alpha_max
        odds = alpha / (alpha_max - alpha)
        self.alpha_logit = nn.Parameter(torch.tensor(math.log(odds)))
        # Relative to the start, which is where weight decay pulls it.
        for name, learn in [
            ("log_growth", learn_range),
            ("middle", learn_range and learn_middle),
        ]:
            if learn:
                self.register_parameter(name, nn.Parameter(torch.zeros(())))
            else:
                self.register_buffer(name, torch.zeros(()), persistent=False)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """Middle, half range and alpha."""
        alpha = self.alpha_max * self.alpha_logit.sigmoid()
        # A sigmoid can round to 1, where the soft curve has no slope to divide by.
        alpha = alpha.clamp(max=1 - torch.finfo(alpha.dtype).eps)
        return self.middle, self.start * self.log_growth.exp(), alpha


class DsqActivation(ActivationBinarizer):
    """The nearer end of a learned range.

    Args:
        alpha: Shape of the surrogate at the start.
        alpha_max: Upper bound of alpha.
        learn_range: The range is learned, and not [-1, 1].

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> DsqActivation(0.2, 0.5, True)(torch.tensor([[-0.3, 0.0, 4.0]])).tolist()
        [[-1.0, 1.0, 1.0]]
    """

    def __init__(self, alpha: float, alpha_max: float, learn_range: bool) -> None:
        super().__init__()
        self.range = SoftRange(1.0, alpha, alpha_max, True, learn_range)

    def forward(self, x: Tensor) -> Tensor:
        return soft_two_levels(x, *self.range())

    def steps(self, x: Tensor) -> list[Step]:
        middle, half, _ = (value.detach() for value in self.range())
        return [Step(middle, middle - half, middle + half)]


class DsqWeight(ScaledSignWeight):
    """``u sign(w)`` with a learned u for the layer.

    Args:
        half: u at the start.
        alpha: Shape of the surrogate at the start.
        alpha_max: Upper bound of alpha.
        learn_range: u is learned.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> DsqWeight(0.5, 0.2, 0.5, True)(torch.tensor([[[[0.1, -7.0]]]])).tolist()
        [[[[0.5, -0.5]]]]
    """

    def __init__(
        self, half: float, alpha: float, alpha_max: float, learn_range: bool
    ) -> None:
        super().__init__()
        self.range = SoftRange(half, alpha, alpha_max, False, learn_range)

    def forward(self, weight: Tensor) -> Tensor:
        return soft_two_levels(weight, *self.range())

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        _, half, _ = self.range()
        return half.detach().to(weight.dtype).expand(weight.shape[0], 1, 1, 1)


def start_of_range(shape: Shape) -> float:
    """Three standard deviations of the encoder's Kaiming-normal start (fan out).

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.

    Examples:
        >>> start_of_range((2, 5, 3, 3))
        1.0
    """
    return 3 * math.sqrt(2 / (shape[0] * shape[2] * shape[3]))


def METHOD(
    alpha: float = 0.2, alpha_max: float = 0.5, learn_range: bool = True
) -> Method:
    """DSQ.

    Args:
        alpha: Shape of the surrogate at the start: near 0 a step, near 1 a line.
        alpha_max: What alpha stays below, at most 1.
        learn_range: Ranges are learned, and not fixed.

    Raises:
        ValueError: Not ``0 < alpha < alpha_max <= 1``.

    Examples:
        >>> len(list(METHOD().activation(8).parameters()))
        3
    """
    if not 0 < alpha < alpha_max <= 1:
        raise ValueError(
            "method 'dsq' needs 0 < alpha < alpha_max <= 1, got alpha "
            f"{alpha} and alpha_max {alpha_max}"
        )
    return Method(
        name="dsq",
        paper="Gong et al., DSQ, ICCV 2019. https://arxiv.org/abs/1908.05033",
        weight=lambda shape: DsqWeight(
            start_of_range(shape), alpha, alpha_max, learn_range
        ),
        activation=lambda channels: DsqActivation(alpha, alpha_max, learn_range),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="MQBench and DSQ (unofficial), output and gradients: 7.1e-14",
    )
