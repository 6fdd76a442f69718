r"""Two levels with a centre and a distance of their own (AdaBin)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.centred import bounded_mean
from cmim.functional.sign import sign


def filter_spread(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Mean and deviation of each filter, and the weights without both.

    .. math::
        \beta = \mathrm{mean}\, w, \qquad
        \alpha = \sqrt{\mathrm{mean} (w - \beta)^2}, \qquad \hat w = (w - \beta)/\alpha

    A constant filter has the deviation 0 and ``w^`` = 0, with no gradient of either.

    Args:
        weight: ``(O, ...)``.

    Returns:
        beta and alpha, ``(O, 1, ...)``, and ``w^`` like ``weight``; differentiable.

    References:
        Tu et al., AdaBin, ECCV 2022. https://arxiv.org/abs/2208.08084

    Examples:
        >>> [t.tolist() for t in filter_spread(torch.tensor([[1.0, 5.0], [2.0, 2.0]]))]
        [[[3.0], [2.0]], [[2.0], [0.0]], [[-1.0, 1.0], [0.0, 0.0]]]
    """
    dims = tuple(range(1, weight.dim()))
    mean = bounded_mean(weight, dims)
    centred = weight - mean
    # In half precision each square would be rounded, and overflow early.
    wide = centred.to(torch.promote_types(weight.dtype, torch.float32))
    variance = wide.square().mean(dims, keepdim=True)
    constant = variance == 0
    root = torch.where(constant, 1, variance).sqrt().to(weight.dtype)
    return mean, torch.where(constant, 0, root), centred / root


class _TwoLevels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x: Tensor, distance: Tensor, centre: Tensor, scaled: bool
    ) -> Tensor:
        ctx.save_for_backward(x, distance, centre)
        ctx.scaled = scaled
        low, high = level_pair(distance, centre, scaled)
        codes = sign((x - centre).mul_(sign(distance)))
        return torch.where(codes > 0, high.to(x.dtype), low.to(x.dtype) * codes.abs())

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, distance, centre = ctx.saved_tensors
        place = (x - centre) / distance
        slope = (2 - 2 * place.abs()).clamp_(min=0)
        # Outside of [-1, 1] the slope is 0; an infinite place would make it NaN.
        along = sign(place) - slope * place.clamp(-1, 1)
        across = (distance if ctx.scaled else 1) - slope
        # In half precision the sums over a feature map overflow.
        wide = torch.promote_types(x.dtype, torch.float32)
        grad_distance = (grad * (along + centre if ctx.scaled else along)).sum(
            dtype=wide
        )
        grad_centre = (grad * across).sum(dtype=wide)
        kind = distance.dtype
        return grad * slope, grad_distance.to(kind), grad_centre.to(kind), None


def level_pair(distance: Tensor, centre: Tensor, scaled: bool) -> tuple[Tensor, Tensor]:
    r"""The two levels of :func:`two_levels`, of codes -1 and +1.

    Examples:
        >>> two, half = torch.tensor(2.0), torch.tensor(0.5)
        >>> [level.item() for level in level_pair(two, half, scaled=True)]
        [-1.0, 3.0]
        >>> [level.item() for level in level_pair(two, half, scaled=False)]
        [-1.5, 2.5]
    """
    if scaled:
        return distance * (centre - 1), distance * (centre + 1)
    return centre - distance, centre + distance


def two_levels(
    x: Tensor, distance: Tensor, centre: Tensor, scaled: bool = True
) -> Tensor:
    r"""Two learned levels around a learned threshold.

    .. math::
        s = \mathrm{sign}\left(\frac{x - \beta}{\alpha}\right), \qquad
        b = \alpha (s + \beta) \text{ if scaled, else } \alpha s + \beta, \qquad
        \frac{\partial s}{\partial x} := \frac1\alpha \max\left(0, 2 - 2
        \left|\frac{x - \beta}{\alpha}\right|\right)

    The gradient flows into alpha and beta along both ways, the sign and the levels.
    ``x = beta`` gives the level of +1, with a negative alpha too: there the lower
    values of x have it. Only x itself is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        distance: alpha, scalar, not 0.
        centre: beta, scalar.
        scaled: Multiply the centre of the levels by alpha, as the released code does,
            or leave it, as the paper does.

    References:
        Tu et al., AdaBin, ECCV 2022, and its code. https://arxiv.org/abs/2208.08084

    Examples:
        >>> x = torch.tensor([0.0, 0.5, 1.5], requires_grad=True)
        >>> y = two_levels(x, torch.tensor(2.0), torch.tensor(0.5)); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([-1.0, 3.0, 3.0], [1.5, 2.0, 1.0])
    """
    return _TwoLevels.apply(x, distance, centre, scaled)
