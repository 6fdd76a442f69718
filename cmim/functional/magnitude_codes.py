r"""Codes from the magnitudes of weights, and bounds on those magnitudes."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.centred import bounded_mean
from cmim.functional.sign import sign


class _MagnitudeCodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return magnitude_codes(weight.detach())

    @staticmethod
    def backward(ctx, grad: Tensor):
        (weight,) = ctx.saved_tensors
        return grad * torch.sign(weight)


def magnitude_codes(weight: Tensor) -> Tensor:
    r"""+1 where a magnitude is above the filter's median, -1 elsewhere.

    .. math::
        b_i = \begin{cases} +1 & |w_i| > \mathrm{median}_j |w_j| \\ -1 &
        \text{else} \end{cases}, \qquad
        \frac{\partial b_i}{\partial |w_i|} := 1

    The median of an even number is the lower of the two in the middle, so that half of
    the codes are +1 unless magnitudes are equal. The gradient is that of ``|w|``: 0 at
    a weight of exactly 0. NaN stays NaN, in its whole filter.

    Args:
        weight: ``(O, ...)``, centred.

    References:
        Lin et al., SiMaN: Sign-to-Magnitude Network Binarization, TPAMI 2022, and its
        code. https://arxiv.org/abs/2102.07981

    Examples:
        >>> w = torch.tensor([[-4.0, 0.0, 1.0, 3.0]], requires_grad=True)
        >>> y = magnitude_codes(w); y.sum().backward()
        >>> y.tolist(), w.grad.tolist()
        ([[1.0, -1.0, -1.0, 1.0]], [[-1.0, 0.0, 1.0, 1.0]])
    """
    if weight.requires_grad and torch.is_grad_enabled():
        return _MagnitudeCodes.apply(weight)
    magnitude = weight.abs().flatten(1)
    median = magnitude.median(dim=1, keepdim=True).values
    # From the other side: the median itself belongs to the lower half.
    return -sign(median - magnitude).view_as(weight)


@torch.no_grad()
def bound_magnitudes(weight: Tensor, percent: Tensor) -> Tensor:
    r"""Centre each filter, and bound the magnitudes by percentiles of the layer.

    .. math::
        \mathrm{sign}(c) \, \mathrm{clamp}(|c|, P_q, P_{100 - q}), \qquad
        c = w - \mathrm{mean}(w)

    with linear interpolation between the magnitudes of the whole layer, and sign(0) =
    0: weights of exactly 0 have no side to move to.

    Args:
        weight: ``(O, ...)`` latent weights.
        percent: q, scalar tensor from 0 to below 50; 0 only centres.

    References:
        Lin et al., SiMaN, TPAMI 2022, and its code. https://arxiv.org/abs/2102.07981

    Examples:
        >>> w = torch.tensor([[-3.0, -1.0, 0.0, 1.0, 3.0]])
        >>> bound_magnitudes(w, torch.tensor(40.0)).tolist()  # of 0, 1, 1, 3, 3
        [[-1.8..., -1.0, 0.0, 1.0, 1.8...]]
    """
    centred = weight - bounded_mean(weight)
    magnitude = centred.abs()
    # In half precision there are no quantiles.
    wide = torch.promote_types(weight.dtype, torch.float32)
    share = percent.to(wide) / 100
    low, high = magnitude.to(wide).flatten().quantile(torch.stack([share, 1 - share]))
    bounded = magnitude.clamp(low.to(weight.dtype), high.to(weight.dtype))
    return bounded * torch.sign(centred)
