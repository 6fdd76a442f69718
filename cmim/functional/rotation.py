r"""Rotating weights towards their signs, and the surrogate of RBNN."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cmim.functional.centred import bounded_mean, centred_sign
from cmim.functional.sign import sign


def balanced_factors(count: int) -> tuple[int, int]:
    """Two factors of a number, as near to each other as they come, the smaller first.

    Examples:
        >>> balanced_factors(18), balanced_factors(7)
        ((3, 6), (1, 7))
    """
    small = next(i for i in range(math.isqrt(count), 0, -1) if count % i == 0)
    return small, count // small


def rotate_filters(weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    r"""Rotate each filter, folded into a matrix X, by a Kronecker product.

    .. math:: \mathrm{vec}(R_1^T X R_2) = (R_1 \otimes R_2)^T \mathrm{vec}(X)

    Never under autocast: signs near zero must not depend on it.

    Args:
        weight: ``(O, ...)`` with ``a b`` weights a filter.
        left: :math:`R_1`, ``(a, a)``, orthogonal.
        right: :math:`R_2`, ``(b, b)``, orthogonal.

    References:
        Lin et al., RBNN, NeurIPS 2020. https://arxiv.org/abs/2009.13055

    Examples:
        >>> quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> weight = torch.tensor([[1.0, 2.0]])
        >>> rotate_filters(weight, torch.ones(1, 1), quarter).tolist()
        [[2.0, -1.0]]
    """
    with torch.autocast(weight.device.type, enabled=False):
        folded = weight.reshape(len(weight), len(left), len(right))
        return (left.T @ folded @ right).view_as(weight)


def _nearest_rotation(matrix: Tensor) -> Tensor:
    # A network that has diverged shall show in its loss, not in an error from here.
    u, _, v = torch.linalg.svd(matrix.nan_to_num(0, 0, 0))
    return u @ v


@torch.no_grad()
def align_rotation(
    weight: Tensor, left: Tensor, right: Tensor, rounds: int = 3
) -> tuple[Tensor, Tensor]:
    r"""Turn a Kronecker rotation so that it brings weights nearer to their signs.

    .. math::
        B_i = \mathrm{sign}(R_1^T X_i R_2), \quad
        \max_{R_1, R_2} \sum_i \mathrm{tr}(B_i R_2^T X_i^T R_1)

    by alternating: the signs, then :math:`R_1`, then :math:`R_2`, the latter two by a
    singular value decomposition, in single precision at least. The sum never falls.

    Args:
        weight: ``(O, ...)`` with ``a b`` weights a filter.
        left: :math:`R_1`, ``(a, a)``, orthogonal.
        right: :math:`R_2`, ``(b, b)``, orthogonal.
        rounds: Number of alternations.

    Returns:
        The new :math:`R_1` and :math:`R_2`, in the precision of the computation.

    References:
        Lin et al., RBNN, NeurIPS 2020. https://arxiv.org/abs/2009.13055

    Examples:
        >>> left, right = torch.ones(1, 1), torch.eye(2)
        >>> left, right = align_rotation(torch.tensor([[3.0, 0.0]]), left, right)
        >>> rotated = rotate_filters(torch.tensor([[3.0, 0.0]]), left, right)
        >>> torch.allclose(rotated.abs(), torch.full((1, 2), 4.5**0.5))
        True
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    left, right = left.to(dtype), right.to(dtype)
    folded = weight.to(dtype).reshape(len(weight), len(left), len(right))
    with torch.autocast(weight.device.type, enabled=False):
        for _ in range(rounds):
            codes = sign(left.T @ folded @ right)
            left = _nearest_rotation((folded @ right @ codes.mT).sum(0))
            right = _nearest_rotation((folded.mT @ left @ codes).sum(0))
    return left, right


class _ParabolicSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, t: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(x, t, k)
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad * _parabolic_slope(*ctx.saved_tensors), None, None


def _parabolic_slope(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    t, k = t.to(x.dtype), k.to(x.dtype)
    return x.abs().mul_(-t.square()).add_(2**0.5 * t).clamp_(min=0).mul_(k)


def parabolic_sign(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    r"""Sign with the gradient of two parabolas that meet at 0.

    .. math::
        \frac{\partial b}{\partial x} := k \max(0, \sqrt 2\, t - t^2 |x|)

    Only x itself is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        t: Steepness > 0, scalar tensor; a constant of the step.
        k: Height, scalar tensor; a constant of the step.

    References:
        Lin et al., RBNN, NeurIPS 2020. https://arxiv.org/abs/2009.13055

    Examples:
        >>> x = torch.tensor([-0.5, 0.0, 2.0], requires_grad=True)
        >>> y = parabolic_sign(x, torch.tensor(2**0.5), torch.tensor(3.0))
        >>> y.sum().backward()
        >>> y.tolist(), [round(g, 4) for g in x.grad.tolist()]
        ([-1.0, 1.0, 1.0], [3.0, 6.0, 0.0])
    """
    return _ParabolicSign.apply(x, t, k)


def sample_mean(x: Tensor) -> Tensor:
    """Mean over all but the first dimension, ``(N, 1, ...)``; of a constant itself.

    Examples:
        >>> sample_mean(torch.tensor([[1.0, 3.0], [0.0, 5.0]])).tolist()
        [[2.0], [2.5]]
    """
    return bounded_mean(x)


def centred_parabolic_sign(x: Tensor, t: Tensor) -> Tensor:
    r"""Sign of each standardised sample, with the gradient of :func:`parabolic_sign`.

    .. math::
        b = \mathrm{sign}(\hat x), \quad \hat x = \frac{x - \mathrm{mean}(x)}{s}, \quad
        s = \sqrt{\mathrm{var}(x)}

    with the unbiased variance over all but the first dimension. The gradient, with k =
    1, flows through mean and standard deviation too; a constant sample has none. Only
    x itself and its means are kept for the backward pass.

    Args:
        x: ``(N, *)`` with at least two elements a sample.
        t: Steepness > 0, scalar tensor; a constant of the step.

    References:
        Lin et al., RBNN, NeurIPS 2020, and its code. https://arxiv.org/abs/2009.13055

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
        >>> y = centred_parabolic_sign(x, torch.tensor(1.0))
        >>> y[0, 1].backward()  # slope sqrt(2) at 0, less its mean
        >>> y.tolist(), [round(3 * g / 2**0.5, 4) for g in x.grad.flatten().tolist()]
        ([[-1.0, 1.0, 1.0]], [-1.0, 2.0, -1.0])
    """
    one = torch.ones_like(t)
    return centred_sign(x, lambda standardized: _parabolic_slope(standardized, t, one))
